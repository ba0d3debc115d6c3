"""The official amazon-s3-encryption-client-python, run apart because it pins an older cryptography.

    official = S3EncryptionClient(make_environment())
    official.put("v3", provider, {"key": body})

This file is also the program that runs over there, with a JSON order on stdin.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping

ROOT = Path(__file__).resolve().parent.parent


def make_environment() -> str:
    """The interpreter that has the client; made once, whoever asks first. Raises CalledProcessError."""
    import fcntl

    with (ROOT / "requirements" / "s3-encryption.lock").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        make = [sys.executable, "requirements/environment.py", ".venv-s3-encryption", "s3-encryption"]
        subprocess.run(make, cwd=str(ROOT), check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return str(ROOT / ".venv-s3-encryption" / "bin" / "python")


class S3EncryptionClient:
    """The official client, at work on a provider's bucket in a local AWS."""

    def __init__(self, python: str) -> None:
        self._python = python

    def put(
        self, form: str, provider: Any, bodies: Mapping[str, bytes], *, context: Mapping[str, str] = {}
    ) -> None:
        """Encrypt with the provider's key in format `form` ("v2", "v3"); large bodies go up in parts."""
        with tempfile.TemporaryDirectory() as folder:
            files = {key: str(Path(folder) / str(number)) for number, key in enumerate(bodies)}
            for key, path in files.items():
                Path(path).write_bytes(bodies[key])
            self._run(provider, {"do": "put", "form": form, "context": dict(context), "files": files})

    def get(self, provider: Any, *keys: str) -> Dict[str, bytes]:
        """What it reads of these objects, of every format that it knows."""
        with tempfile.TemporaryDirectory() as folder:
            files = {key: str(Path(folder) / str(number)) for number, key in enumerate(keys)}
            self._run(provider, {"do": "get", "form": "v3", "files": files})
            return {key: Path(path).read_bytes() for key, path in files.items()}

    def _run(self, provider: Any, order: Dict[str, Any]) -> None:
        place = {"endpoint": provider.aws.endpoint_url, "region": provider.aws.region,
                 "bucket": provider.bucket, "kms_key_arn": provider.kms_key_arn,
                 "account": provider.kms_key_arn.split(":")[4]}
        done = subprocess.run([self._python, __file__], input=json.dumps({**place, **order}).encode(),
                              check=False, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()[-4000:]


def _main(order: Dict[str, Any]) -> None:
    official, bucket = _official(order), order["bucket"]
    for key, path in order["files"].items():
        if order["do"] == "get":
            Path(path).write_bytes(official.get_object(Bucket=bucket, Key=key)["Body"].read())
        elif Path(path).stat().st_size > 5 * 1024 * 1024:
            with open(path, "rb") as file:
                official.upload_fileobj(file, bucket, key, EncryptionContext=order["context"])
        else:
            body = Path(path).read_bytes()
            official.put_object(Bucket=bucket, Key=key, Body=body, EncryptionContext=order["context"])


def _official(order: Dict[str, Any]) -> Any:
    import boto3
    from botocore.config import Config
    from s3_encryption import S3EncryptionClient as Official
    from s3_encryption import S3EncryptionClientConfig
    from s3_encryption.materials.kms_keyring import KmsKeyring
    from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

    def client(service: str) -> Any:
        made = boto3.client(
            service, region_name=order["region"], endpoint_url=order["endpoint"], config=Config(proxies={}),
            aws_access_key_id=order["account"], aws_secret_access_key="test",
        )
        made.meta.events.register("before-sign", name_account)
        return made

    def name_account(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = order["account"]

    forms = {
        "v2": {"encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
               "commitment_policy": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT},
        "v3": {"commitment_policy": CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT},
    }
    keyring = KmsKeyring(client("kms"), order["kms_key_arn"], enable_legacy_wrapping_algorithms=True)
    config = S3EncryptionClientConfig(
        keyring=keyring, enable_legacy_unauthenticated_modes=True, **forms[order["form"]]
    )
    return Official(client("s3"), config)


if __name__ == "__main__":
    _main(json.load(sys.stdin))

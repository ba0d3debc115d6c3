/*
 * The set-up page: creates and edits inputs, and keeps their secrets in storage/passwords.
 *
 * It talks to splunkd through Splunk Web's proxy with plain fetch, and uses none of Splunk Web's own modules.
 * Whatever comes from the server is shown as text. A secret goes one way only: it is stored under
 * <input>:<setting>, the input gets a mask in its place, and no stored value is ever asked for.
 */
(function () {
  "use strict";

  const APP = "audit_s3_collector";
  const SCHEME = "audit_s3";
  const REALM = "audit_s3";
  const MASK = "********";
  const REFERENCE = /^(file|env|credential|storage):/;
  // Where Splunk's own defaults stand, nothing is set.
  const UNSET = { index: "default", host: "$decideOnStartup" };
  const BASE = location.pathname.split("/app/")[0];

  let table = null;
  let root = null;

  // -- splunkd ---------------------------------------------------------------------------------------

  function formKey() {
    const cookies = document.cookie.split("; ").map((pair) => pair.split("="));
    const keys = cookies.filter(([name]) => name.startsWith("splunkweb_csrf_token_"));
    const own = keys.find(([name]) => name.endsWith("_" + location.port)) || keys[0];
    return own ? own.slice(1).join("=") : "";
  }

  /** What splunkd answers: {ok, status, body, text}. Rejects only where nothing answers at all. */
  async function ask(method, path, form, app) {
    const headers = { "X-Requested-With": "XMLHttpRequest", "X-Splunk-Form-Key": formKey() };
    const query = new URLSearchParams(method === "GET" ? form : {});
    query.set("output_mode", "json");
    const url = `${BASE}/splunkd/__raw/servicesNS/nobody/${encodeURIComponent(app || APP)}/${path}?${query}`;
    const body = method === "POST" ? new URLSearchParams(form) : undefined;
    const answer = await fetch(url, { method, headers, body, credentials: "same-origin" });
    const text = await answer.text();
    let parsed = {};
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      return { ok: false, status: answer.status, body: {}, text: unreadable(answer.status) };
    }
    return { ok: answer.ok, status: answer.status, body: parsed, text: said(parsed, answer.status) };
  }

  function unreadable(status) {
    return status === 401 || status === 200 || status === 303
      ? "Your session has ended. Sign in to Splunk again, and save again."
      : `Splunk Web answered ${status} without saying why.`;
  }

  function said(body, status) {
    const messages = (body.messages || []).map((message) => message.text || "").filter(Boolean);
    if (messages.length) return messages.join("\n");
    return status === 403 ? "Your role may not do this." : `splunkd answered ${status}.`;
  }

  class Refused extends Error {}

  async function must(...request) {
    const answer = await ask(...request);
    if (!answer.ok) throw new Refused(answer.text);
    return answer.body;
  }

  const inputPath = (name) => `data/inputs/${SCHEME}` + (name ? `/${encodeURIComponent(name)}` : "");

  async function readInputs() {
    const feed = await must("GET", inputPath(), { count: 0 }, "-");
    return (feed.entry || []).map((entry) => ({
      name: entry.name,
      app: (entry.acl && entry.acl.app) || APP,
      disabled: ["1", "true"].includes(String(entry.content.disabled)),
      settings: settingsOf(entry.content),
    }));
  }

  function settingsOf(content) {
    const settings = {};
    for (const row of [...table.settings, { name: "validate_online" }]) {
      const value = content[row.name];
      if (value === undefined || value === null) continue;
      settings[row.name] = String(value) === UNSET[row.name] ? "" : String(value);
    }
    return settings;
  }

  /** The usernames of what is stored. The fields asked for leave the passwords themselves out. */
  async function readStored() {
    const query = new URLSearchParams({ count: 0, search: `realm=${REALM}` });
    query.append("f", "realm");
    query.append("f", "username");
    const feed = await must("GET", "storage/passwords", query);
    const ours = (feed.entry || []).filter((entry) => entry.content.realm === REALM);
    return new Set(ours.map((entry) => entry.content.username));
  }

  const titleOf = (username) => `${REALM}:${username.replace(/:/g, "\\:")}:`;
  const passwordPath = (username) => `storage/passwords/${encodeURIComponent(titleOf(username))}`;

  /** Stores one secret; true if there was none before. */
  async function store(username, password) {
    const made = await ask("POST", "storage/passwords", { realm: REALM, name: username, password });
    if (made.ok) return true;
    if (made.status !== 409) throw new Refused(made.text);
    await must("POST", passwordPath(username), { password });
    return false;
  }

  // -- what is missing ---------------------------------------------------------------------------------

  function missingOf(input, stored) {
    const settings = input.settings;
    const provider = table.providers.find((one) => one.name === (settings.provider || "custom"));
    const handed = provider && provider.name !== "custom" ? provider.hands_over : [];
    const missing = handed.filter((name) => !name.endsWith("_region") && !settings[name]);
    if (!settings.queue_url && !settings.bucket) missing.push("queue_url");
    if ((settings.output || "").includes("hec")) {
      if (!settings.hec_url) missing.push("hec_url");
      if (!settings.hec_token && !isStored(input.name, "hec_token", stored)) missing.push("hec_token");
    }
    if (settings.aws_access_key_id && !settings.aws_secret_access_key) {
      if (!isStored(input.name, "aws_secret_access_key", stored)) missing.push("aws_secret_access_key");
    }
    for (const row of table.settings.filter((one) => one.secret)) {
      if (settings[row.name] === MASK && !isStored(input.name, row.name, stored)) missing.push(row.name);
    }
    return [...new Set(missing)];
  }

  const isStored = (input, setting, stored) => stored.has(`${input}:${setting}`) || stored.has(input);

  // -- elements ------------------------------------------------------------------------------------------

  /** An element with these properties and children; a text is a text node, never markup. */
  function el(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return made;
  }

  const button = (text, onclick, kind) => el("button", { type: "button", class: kind || "", onclick }, text);

  function show(...children) {
    root.replaceChildren(...children.flat());
  }

  function notice(text, kind) {
    return el("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
  }

  // -- the list --------------------------------------------------------------------------------------------

  async function showList(message) {
    show(el("p", { class: "quiet" }, "Loading the inputs…"));
    const [inputs, stored, isDone] = await Promise.all([readInputs(), readStored(), isConfigured()]);
    const add = button("Add an input", () => showForm(null, stored), "primary");
    show(
      message ? notice(message, "good") : [],
      el("header", {}, el("h2", {}, "Inputs"), add),
      inputs.length
        ? el("ul", { class: "inputs" }, inputs.map((input) => card(input, stored)))
        : el("p", { class: "quiet empty" },
            "There is no input yet. Have the values at hand that your provider gave you: the role, the bucket, " +
            "the queue and the KMS key."),
      inputs.length || isDone ? [] : onlySearches(),
    );
  }

  /** On a search head that runs no inputs the app is there for its fields and its dashboard. */
  function onlySearches() {
    return el("p", { class: "quiet" }, "Are the inputs on another Splunk, such as a heavy forwarder? ",
      button("Only search here", () => act(async () => {
        await markConfigured();
        return "The app is ready to search with.";
      })));
  }

  function card(input, stored) {
    const settings = input.settings;
    const missing = missingOf(input, stored);
    const provider = table.providers.find((one) => one.name === settings.provider);
    const facts = [
      ["Provider", provider ? provider.title : settings.provider || "custom"],
      ["Queue", settings.queue_url || (missing.includes("queue_url") ? "not set" : "none: the bucket is listed")],
      ["Output", settings.output || (settings.hec_url ? "splunkd, not the HEC URL" : "splunkd")],
      ["Index", settings.index || "the default index"],
    ];
    const state = input.disabled ? "Disabled" : missing.length ? "Incomplete" : "Enabled";
    return el("li", { class: "card", "data-input": input.name },
      el("div", { class: "title" },
        el("h3", {}, input.name),
        el("span", { class: `badge ${state.toLowerCase()}` }, state)),
      el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      missing.length ? el("p", { class: "missing" }, `Missing: ${missing.join(", ")}`) : null,
      el("div", { class: "actions" },
        button("Edit", () => showForm(input, stored)),
        button(input.disabled ? "Enable" : "Disable", () => act(async () => {
          const verb = input.disabled ? "enable" : "disable";
          await must("POST", `${inputPath(input.name)}/${verb}`, {}, input.app);
          return `${input.name} is ${verb}d.`;
        })),
        button("Delete", () => act(() => remove(input, stored)), "danger")));
  }

  async function remove(input, stored) {
    const sure = "Its checkpoints stay; its stored secrets are deleted with it.";
    if (!window.confirm(`Delete the input ${input.name}? ${sure}`)) return null;
    await must("DELETE", inputPath(input.name), {}, input.app);
    for (const username of stored) {
      if (username.startsWith(`${input.name}:`)) await must("DELETE", passwordPath(username), {});
    }
    return `${input.name} is deleted.`;
  }

  /** Does it, and shows the list again with what it says, or why it failed. */
  async function act(what) {
    try {
      const message = await what();
      if (message) await showList(message);
    } catch (error) {
      root.prepend(notice(sentence(error), "bad"));
    }
  }

  const sentence = (error) =>
    error instanceof Refused ? error.message : `Splunk Web cannot be reached (${error.message}).`;

  // -- the form ----------------------------------------------------------------------------------------------

  function showForm(input, stored) {
    const values = input ? input.settings : { provider: "thrive" };
    const everyday = table.settings.filter((row) => row.kind === "everyday");
    const tuning = table.settings.filter((row) => row.kind !== "everyday");
    const groups = [...new Set(table.settings.map((row) => row.group))];
    const online = el("input", { type: "checkbox", id: "s3-validate_online", name: "validate_online",
      checked: ["1", "true"].includes(values.validate_online) });
    const form = el("form", { novalidate: true, autocomplete: "off" },
      el("header", {}, el("h2", {}, input ? `Edit ${input.name}` : "Add an input")),
      el("div", { class: "general" }),
      input ? null : nameField(),
      groups.map((group) => section(group, everyday.filter((row) => row.group === group), values, input, stored)),
      el("details", {}, el("summary", {}, `All other settings (${tuning.length})`),
        groups.map((group) => section(group, tuning.filter((row) => row.group === group), values, input, stored))),
      el("div", { class: "check" }, online,
        el("label", { for: "s3-validate_online" },
          "Try the role, the queue, the bucket and the output before saving; takes up to twenty seconds.")),
      el("div", { class: "actions" },
        el("button", { type: "submit", class: "primary" }, input ? "Save" : "Save and start"),
        button("Cancel", () => act(() => showList().then(() => null)))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form, input, values);
    });
    const provider = form.elements.namedItem("provider");
    provider.addEventListener("change", () => mark(form, provider.value));
    mark(form, provider.value);
    show(form);
    (input ? form.querySelector("input, select") : form.elements.namedItem("name")).focus();
  }

  function nameField() {
    const row = { name: "name", title: "Name", help: "Up to 64 letters, digits, _ . and -; it names the checkpoints too." };
    return el("fieldset", {}, field(row, el("input", { type: "text", name: "name", spellcheck: "false" })));
  }

  function section(group, rows, values, input, stored) {
    if (!rows.length) return null;
    const fields = rows.map((row) => field(row, control(row, values, input, stored)));
    return el("fieldset", {}, el("legend", {}, group), fields);
  }

  function field(row, made) {
    made.id = `s3-${row.name}`;
    made.setAttribute("aria-describedby", `s3-${row.name}-help s3-${row.name}-error`);
    return el("div", { class: "field", "data-setting": row.name },
      el("label", { for: made.id }, row.title, el("code", {}, row.name), el("span", { class: "handed" })),
      made,
      el("p", { class: "help", id: `${made.id}-help` }, row.help, row.default ? ` Without it: ${row.default}.` : ""),
      el("p", { class: "error", id: `${made.id}-error` }));
  }

  function control(row, values, input, stored) {
    const value = values[row.name] || "";
    if (row.secret) {
      const kept = input && (isStored(input.name, row.name, stored) || value);
      const held = REFERENCE.test(value) ? value : "stored; leave empty to keep it";
      return el("input", { type: "password", name: row.name, autocomplete: "new-password",
        placeholder: kept ? held : `the value, or a reference${row.example ? `, e.g. ${row.example}` : ""}` });
    }
    const choices = row.type === "choice" ? row.choices : row.type === "true or false" ? ["true", "false"] : null;
    if (!choices) {
      return el("input", { type: "text", name: row.name, value, spellcheck: "false", placeholder: row.example ? `e.g. ${row.example}` : "" });
    }
    const known = { 1: "true", 0: "false" };
    const chosen = row.type === "true or false" ? known[value] || value : value;
    const titles = Object.fromEntries(table.providers.map((one) => [one.name, one.title]));
    const listed = row.name === "provider" ? choices : ["", ...choices];
    if (chosen && !listed.includes(chosen)) listed.push(chosen);
    return el("select", { name: row.name },
      listed.map((choice) => el("option", { value: choice, selected: choice === chosen },
        row.name === "provider" && titles[choice] ? titles[choice] : choice || "default")));
  }

  /** Says which values come from this provider. */
  function mark(form, name) {
    const provider = table.providers.find((one) => one.name === name);
    for (const each of form.querySelectorAll(".field")) {
      const isHanded = name !== "custom" && provider && provider.hands_over.includes(each.dataset.setting);
      each.querySelector(".handed").textContent = isHanded ? "from your provider" : "";
    }
  }

  // -- saving --------------------------------------------------------------------------------------------------

  /**
   * [settings to send, secrets to store]. All that is set is sent, as Splunk's own form does: no page of Splunk's
   * promises that an input is validated with more than was sent. Only a secret in plain text stays where it is.
   */
  function changes(form, before) {
    const settings = {};
    const secrets = {};
    for (const row of table.settings) {
      const value = before[row.name];
      if (value && (!row.secret || value === MASK || REFERENCE.test(value))) settings[row.name] = value;
    }
    for (const row of table.settings) {
      const value = form.elements.namedItem(row.name).value.trim();
      if (row.secret) {
        if (!value) continue;
        const isPlain = !REFERENCE.test(value) && value !== MASK;
        if (isPlain) secrets[row.name] = value;
        settings[row.name] = isPlain ? MASK : value;
      } else if (value !== sameForm(row, before[row.name] || "")) {
        settings[row.name] = value;
      }
    }
    const online = form.elements.namedItem("validate_online").checked;
    if (online !== ["1", "true"].includes(before.validate_online)) settings.validate_online = online ? "1" : "0";
    return [settings, secrets];
  }

  const sameForm = (row, value) =>
    row.type === "true or false" ? { 1: "true", 0: "false" }[value] || value : value;

  async function submit(form, input, before) {
    clear(form);
    const name = input ? input.name : form.elements.namedItem("name").value.trim();
    if (!input && !/^[A-Za-z0-9_.-]{1,64}$/.test(name)) {
      explain(form, "name", "Up to 64 letters, digits, _ . and - make a name.");
      focusFirst(form);
      return;
    }
    const [settings, secrets] = changes(form, input ? before : {});
    const made = [];
    const stored = [];
    busy(form, true);
    try {
      // Before anything is stored: the secrets of the input that has this name are its own.
      if (!input && (await readInputs()).some((one) => one.name === name)) {
        throw new Refused("There is an input of this name. Edit it, or choose another name.");
      }
      for (const [setting, value] of Object.entries(secrets)) {
        if (await store(`${name}:${setting}`, value)) made.push(`${name}:${setting}`);
        stored.push(setting);
      }
      if (input) await must("POST", inputPath(name), settings, input.app);
      else await must("POST", inputPath(), { name, ...settings });
      await markConfigured();
      await showList(`${name} is saved.`);
    } catch (error) {
      await forget(made);
      busy(form, false);
      tell(form, sentence(error));
      const kept = stored.filter((setting) => !made.includes(`${name}:${setting}`));
      if (kept.length) form.querySelector(".general").append(notice(replaced(kept), "bad"));
    }
  }

  /** Splunk checks an input with the secrets that are stored, and what was stored before is not to be read here. */
  const replaced = (settings) =>
    `The old ${settings.join(" and ")} cannot be put back: what you typed is stored, and used from the input's next start on.`;

  /** What was not saved leaves no secret behind that was not there before. */
  async function forget(usernames) {
    for (const username of usernames) await ask("DELETE", passwordPath(username), {}).catch(() => null);
  }

  async function isConfigured() {
    const found = await must("GET", `apps/local/${APP}`, {});
    return (found.entry || []).some((entry) => ["1", "true"].includes(String(entry.content.configured)));
  }

  /** Until then Splunk Web leads everybody who opens the app to this page. */
  async function markConfigured() {
    if (!(await isConfigured())) await must("POST", `apps/local/${APP}`, { configured: "true" });
  }

  function busy(form, on) {
    for (const each of form.querySelectorAll("button")) each.disabled = on;
    form.querySelector("button[type=submit]").classList.toggle("busy", on);
  }

  // -- what the server says about it ---------------------------------------------------------------------------

  function clear(form) {
    form.querySelector(".general").replaceChildren();
    for (const each of form.querySelectorAll(".field")) {
      each.querySelector(".error").textContent = "";
      each.querySelector("input, select").removeAttribute("aria-invalid");
    }
  }

  /** Puts each line of the server's message next to the field that it names first, the rest on top. */
  function tell(form, text) {
    const lines = text
      .replace(/^[^:]*while trying to \w+:\s*/, "")
      .split(/\n+|\s(?=inputs\.conf \[)/)
      .map((line) => line.trim().replace(/^inputs\.conf \[[^\]]*\]:\s*/, ""))
      .filter((line) => line && !/^\d+ (problems?|checks?) /.test(line));
    const names = new Set(table.settings.map((row) => row.name));
    const general = [];
    for (const line of lines) {
      const named = (line.match(/[a-z][a-z0-9_]*/g) || []).find((word) => names.has(word));
      if (named) explain(form, named, line);
      else general.push(line);
    }
    if (!general.length && lines.length) general.push("Not saved. See below what is to be changed.");
    form.querySelector(".general").replaceChildren(...general.map((line) => notice(line, "bad")));
    focusFirst(form);
  }

  function explain(form, name, text) {
    const place = form.querySelector(`.field[data-setting="${name}"]`);
    const error = place.querySelector(".error");
    error.textContent = error.textContent ? `${error.textContent}\n${text}` : text;
    place.querySelector("input, select").setAttribute("aria-invalid", "true");
    const details = place.closest("details");
    if (details) details.open = true;
  }

  function focusFirst(form) {
    const wrong = form.querySelector("[aria-invalid]");
    if (wrong) wrong.focus();
    else form.querySelector(".general").scrollIntoView({ block: "nearest" });
  }

  // -- the page ------------------------------------------------------------------------------------------------

  /** Light or dark as the page around us is, whatever Splunk's release calls it. */
  function theme() {
    for (let place = root.parentElement; place; place = place.parentElement) {
      const [red, green, blue, alpha] = (getComputedStyle(place).backgroundColor.match(/[\d.]+/g) || []).map(Number);
      if (red !== undefined && alpha !== 0) return red * 0.3 + green * 0.6 + blue * 0.1 < 128 ? "dark" : "light";
    }
    return "light";
  }

  async function begin(found) {
    root = found;
    root.dataset.theme = theme();
    try {
      const answer = await fetch(`${BASE}/static/app/${APP}/settings.json`, { credentials: "same-origin" });
      table = await answer.json();
      await showList();
    } catch (error) {
      show(notice(sentence(error), "bad"));
    }
  }

  /** Splunk Web builds the page by script too: our place may not be there yet. */
  function whenThere(use) {
    const found = document.getElementById("audit-s3-setup");
    if (found) {
      use(found);
      return;
    }
    const watch = new MutationObserver(() => {
      const late = document.getElementById("audit-s3-setup");
      if (late) {
        watch.disconnect();
        use(late);
      }
    });
    watch.observe(document.documentElement, { childList: true, subtree: true });
  }

  whenThere(begin);
})();

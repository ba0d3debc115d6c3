"""What a test, a demo or a user's own trial needs: twins of every port, a local AWS, a fake HEC.

Nothing here is imported by the program itself except `audit-s3 demo`. Import from the modules; this
package imports none of them, so that a twin can be used without the emulators installed.
"""

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw-PDU conformance tests: rfc7143.py TESTD [PART-OF-A-NAME]. One line for each test; exit status 0 when all passed."""
import sys

import iscsi
import c_login  # noqa: F401: each registers its cases
import c_keys  # noqa: F401
import c_chap  # noqa: F401
import c_order  # noqa: F401
import c_data  # noqa: F401
import c_text  # noqa: F401
import c_tasks  # noqa: F401
import c_resize  # noqa: F401
import c_luns  # noqa: F401
import c_scsi  # noqa: F401
import c_sessions  # noqa: F401
import c_hostile  # noqa: F401

if __name__ == "__main__":
    sys.exit(0 if iscsi.run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "") else 1)

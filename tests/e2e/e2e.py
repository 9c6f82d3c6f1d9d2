# SPDX-License-Identifier: GPL-2.0-or-later
"""All that a test needs: from e2e import *"""
import json, os, re, shlex, shutil, signal, subprocess, sys, threading, time

from lan import *
from server import Server
from vm import VM

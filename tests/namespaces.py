# SPDX-License-Identifier: GPL-2.0-or-later
"""Mount namespaces on any machine: also in a chroot, whose / is no mount point."""

# unshare(1) makes every mount private, and begins at /, which it cannot where that is only a directory: what is mounted would be
# seen outside. So the tree is bound to a place that can be made private, and entered there.
IN_CHROOT = """mount --make-private /proc
mount --rbind --make-rprivate / /proc
exec chroot /proc sh -ec 'cd "$0"; exec "$@"' "$PWD" "$@" """


def root_is_mounted():
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4] == "/" for line in f)


def own_mounts(*options):
    """Begins a command line: what is added to it runs with mounts that nobody else sees. options: others of unshare(1)."""
    if root_is_mounted():
        return ["unshare", "--mount", "--propagation", "private", *options]
    return ["unshare", "--mount", "--propagation", "unchanged", *options, "sh", "-ec", IN_CHROOT, "sh"]

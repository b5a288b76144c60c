#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Print what opens this machine's doors to a certificate, by its key id `<who>/<door>/<session>`; nothing for
# somebody who is kept out. sshd runs it at every login, so it reads files only, and without them it fails.
set -eu
cd /run/slipway-access

who=${1%%/*}
rest=${1#*/}
door=${rest%%/*}
case $who in '' | *[!A-Za-z0-9._-]*) exit 0 ;; esac
case $door in jump | shell | reader | writer) ;; *) exit 0 ;; esac

is_blocked=0
grep -qxFe "$who" blocked || is_blocked=$?
[ "$is_blocked" -eq 1 ] || exit 0

# sshd takes the first line that fits: the door that the certificate is for goes before the others.
grep -e "/$door\$" principals || [ $? -eq 1 ]
grep -ve "/$door\$" principals || [ $? -eq 1 ]

# Looks for what the feature needs before anything is changed.

if [ "$(id -u)" -eq 0 ]; then
    command -v nginx >/dev/null 2>&1 || fail_step "nginx was not found on this machine; install it, and see that its folder is on the PATH"
else
    for program in cp mv rm nginx; do
        if ! sudo -n -l "$program" >/dev/null 2>&1; then
            fail_step "The user $(id -un) cannot run '$program' with sudo and without a password; install it, and allow it in the sudoers file"
        fi
    done
fi

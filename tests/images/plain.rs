//! Stories that are told a second time without any hardening.

use crate::engine::plainly;
use crate::{deployment, master_key, registration, setting, start};

#[test]
fn stop_start_and_restart_keep_the_state() {
    plainly(start::stop_start_and_restart_keep_the_state);
}

#[test]
fn a_given_key_is_used() {
    plainly(master_key::a_given_key_is_used);
}

#[test]
fn secrets_come_from_files() {
    plainly(setting::secrets_come_from_files);
}

#[test]
fn a_listening_agent_registers_and_is_healthy() {
    plainly(registration::a_listening_agent_registers_and_is_healthy);
}

#[test]
fn a_package_is_unpacked_on_the_applications_volume() {
    plainly(deployment::a_package_is_unpacked_on_the_applications_volume);
}

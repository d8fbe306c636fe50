//! The machine of a case: a root of its own in which the programs of this machine can be read and nothing else is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::mount::{MountFlags, mount, mount_bind_recursive, mount_remount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use serde_json::Value;

/// Where the agent's program stands on the machine.
pub const PROGRAM: &str = "/program/tentacle";
/// The folder that relative paths of the recordings start at, when they have one.
const WORK: &str = "/home/Octopus/work";
/// What holds programs and their libraries.
const PROGRAMS: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib64", "lib32"];

/// Builds the machine below `root` and goes there.
///
/// # Errors
/// When a part of it cannot be made, most likely because this is not root.
pub fn enter(root: &Path, program: &Path, fixtures: &Value, case: &Value) -> Result<(), String> {
    let fixture = fixtures
        .as_array()
        .into_iter()
        .flatten()
        .find(|fixture| fixture["id"] == "fixture-machine")
        .ok_or("the file has no line fixture-machine")?;
    build(root, program).map_err(|why| format!("the machine of the case: {why}; root is needed"))?;
    let host = fixture["hostname"].as_str().unwrap_or("web01");
    rustix::system::sethostname(host.as_bytes()).map_err(|why| format!("the host name: {why}"))?;
    raise_loopback().map_err(|why| format!("the loopback interface: {why}"))?;
    rustix::process::chroot(root).map_err(|why| format!("the root of the machine: {why}"))?;
    std::env::set_current_dir("/").map_err(|why| format!("the root of the machine: {why}"))?;
    furnish(fixture, case).map_err(|why| format!("the files of the machine: {why}"))
}

fn build(root: &Path, program: &Path) -> std::io::Result<()> {
    mount("tmpfs", root, "tmpfs", MountFlags::NOSUID, c"mode=755")?;
    for name in PROGRAMS {
        let (there, here) = (Path::new("/").join(name), root.join(name));
        match fs::read_link(&there) {
            Ok(target) => symlink(target, &here)?,
            Err(_) if there.is_dir() => {
                fs::create_dir(&here)?;
                mount_bind_recursive(&there, &here)?;
                mount_remount(&here, MountFlags::BIND | MountFlags::RDONLY, c"")?;
            }
            Err(_) => {}
        }
    }
    for name in [
        "dev", "etc", "proc", "program", "root", "run", "tmp", "home", "var",
    ] {
        fs::create_dir(root.join(name))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    mount_bind_recursive("/dev", root.join("dev"))?;
    mount("proc", root.join("proc"), "proc", MountFlags::NOSUID, c"")?;
    fs::copy(program, root.join(PROGRAM.trim_start_matches('/')))?;
    if Path::new("/etc/ld.so.cache").exists() {
        fs::copy("/etc/ld.so.cache", root.join("etc/ld.so.cache"))?;
    }
    Ok(())
}

fn furnish(fixture: &Value, case: &Value) -> std::io::Result<()> {
    fs::write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")?;
    fs::write("/etc/group", "root:x:0:\n")?;
    fs::write(
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    )?;
    let names = "localhost web01 octopus.example polling.example";
    fs::write("/etc/hosts", format!("127.0.0.1 {names}\n::1 localhost\n"))?;
    let host = fixture["hostname"].as_str().unwrap_or("web01");
    fs::write("/etc/hostname", format!("{host}\n"))?;
    fs::create_dir_all("/etc/systemd/system")?;
    fs::create_dir_all(WORK)?;
    let state = case["before"].as_str().unwrap_or_default();
    let machine_id = match state.split_once("/etc/machine-id holds only '") {
        Some((_, rest)) => rest.split('\'').next(),
        None if state.contains("without /etc/machine-id") => None,
        None => fixture["machine_id"].as_str(),
    };
    if let Some(id) = machine_id {
        fs::write("/etc/machine-id", format!("{id}\n"))?;
    }
    for (path, content) in fixture["files"].as_object().into_iter().flatten() {
        if let Some(folder) = Path::new(path).parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes = STANDARD
            .decode(content.as_str().unwrap_or_default())
            .map_err(std::io::Error::other)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Sets the loopback interface up: `RTM_NEWLINK` for the first interface with `IFF_UP`.
fn raise_loopback() -> std::io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(LENGTH as usize);
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]); // sequence number and sender
    message.extend([0; 4]); // any family, padding, any type
    message.extend(1_i32.to_ne_bytes()); // the loopback interface
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // change only this
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    sendto(
        &socket,
        &message,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    Ok(())
}

//! A package of 1 GiB goes from the client to the machine, and neither Server nor agent ever holds it in memory.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tests::program::Program;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::agent::Agent;
use crate::client::Client;

/// Four files of this size are 1 GiB.
const FILES: [&str; 4] = ["one.bin", "two.bin", "three.bin", "folder/four.bin"];
const FILE_SIZE: u64 = 256 << 20;
/// What Server and agent may take at any moment, in KiB.
const MEMORY: u64 = 100_000_000 / 1024;
const PIECE: usize = 1 << 20;

/// The eleventh "Done when".
#[test]
fn a_package_of_a_gibibyte_fits_through_a_hundred_megabytes() {
    let server = Program::start();
    let agent = Agent::start(&server, "small01");
    let client = Client::of(&server);
    client.healthy_machine();
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    let file = folder.path().join("Large.Data.1.0.0.zip");
    write(&file);

    let pushed = client.push(&file);
    assert!(pushed["PackageSizeBytes"].as_u64().expect("a size") > FILE_SIZE * FILES.len() as u64);
    drop(folder);
    let after_push = peak_memory(server.id());
    let package = json!({
        "Name": "",
        "PackageId": "Large.Data",
        "FeedId": "feeds-builtin",
        "AcquisitionLocation": "Server",
        "Properties": {},
    });
    let action = json!({
        "Name": "Deploy the data",
        "ActionType": "Octopus.TentaclePackage",
        "Packages": [package],
        "Properties": {"Octopus.Action.Package.PackageId": "Large.Data", "Octopus.Action.Package.FeedId": "feeds-builtin"},
    });
    let task = client.deploy("Large", &action);
    let ended = client.ended(&task, Duration::from_secs(300));
    assert_eq!(ended.state, "Success", "{}\n{}", ended.message, ended.log);

    let (of_server, of_agent) = (peak_memory(server.id()), peak_memory(agent.id()));
    eprintln!(
        "peak memory: Server {} MiB ({} after the push), agent {} MiB",
        of_server / 1024,
        after_push / 1024,
        of_agent / 1024
    );
    assert!(
        of_server < MEMORY,
        "the Server took {of_server} KiB, {after_push} of them after the push"
    );
    assert!(of_agent < MEMORY, "the agent took {of_agent} KiB");
    let deployed = agent.applications().join("Large.Data/1.0.0");
    for (seed, name) in FILES.iter().enumerate() {
        check(&deployed.join(name), seed as u64);
    }
}

/// What a process had in memory when it had most, in KiB.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn write(to: &Path) {
    let file = BufWriter::with_capacity(PIECE, File::create(to).expect("a new file"));
    let mut archive = ZipWriter::new(file);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (seed, name) in FILES.iter().enumerate() {
        archive.start_file(*name, options).expect("a new entry");
        for piece in content(seed as u64) {
            archive.write_all(&piece).expect("the disk has room");
        }
    }
    let file = archive.finish().expect("a whole archive");
    file.into_inner().expect("the disk has room");
}

fn check(file: &Path, seed: u64) {
    let opened = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(
        opened.metadata().expect("an open file").len(),
        FILE_SIZE,
        "{}",
        file.display()
    );
    let mut reader = BufReader::with_capacity(PIECE, opened);
    let mut found = vec![0; PIECE];
    for (number, piece) in content(seed).enumerate() {
        reader.read_exact(&mut found).expect("as long as it should be");
        // Not `assert_eq`, which would print both.
        assert!(found == piece, "{}: MiB {number} differs", file.display());
    }
}

/// The pieces of a file: bytes that no compression makes smaller, the same for the same seed (xorshift64*).
fn content(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (seed + 1);
    let pieces = FILE_SIZE / PIECE as u64;
    (0..pieces).map(move |_| {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            piece.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        piece
    })
}

//! B5: the difference of two versions. Signature, delta and result by `calamari octodiff`, and content-defined chunks by
//! the library, a process each; rdiff, rsync, xdelta3 and zstd do the same.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::Path;

use octodiff::chunk::{self, Bundle, ChunkHash, ChunkSource, Manifest, Piece};

use crate::input::{Contents, Dice, same_file};
use crate::measure::{Contender, Spent, alternate, run as start};
use crate::table::Bound::AtLeast;
use crate::table::{Goal, Table, megabytes};
use crate::{Place, extraction};

const BYTES: usize = 100_000_000;
const ROUNDS: usize = 3;

pub fn run(place: &Place, table: &mut Table) {
    let (old, new) = (place.at("old"), place.at("new"));
    let mut contents = Contents::new(5).bytes(BYTES);
    std::fs::write(&old, &contents).expect("a file can be written");
    let mut dice = Dice::new(6);
    for _ in 0..1000 {
        let start = dice.below(BYTES - 1000);
        contents[start..start + 1000].copy_from_slice(&dice.noise(1000));
    }
    std::fs::write(&new, &contents).expect("a file can be written");
    drop(contents);
    pair(place, table, "100 MB, 1 % changed in 1,000 places", &old, &new);

    // The zip of the same files, a hundredth of them with other contents.
    std::fs::copy(extraction::zip(place), &old).expect("a file can be copied");
    let tree = extraction::tree(place);
    let changed = place.at("changed");
    std::fs::create_dir_all(&changed).expect("a folder can be made");
    start(&tree, "cp", &["-a", ".", changed.to_str().expect("a plain path")]);
    for number in (0..extraction::FILES).step_by(100) {
        let file = changed.join(format!("folder-{:02}/file-{number:04}.dat", number / 50));
        let length = file.metadata().expect("the file is there").len();
        let length = usize::try_from(length).expect("it is small");
        std::fs::write(&file, Contents::new(number as u64).bytes(length)).expect("a file can be written");
    }
    let zip = place.at("changed.zip");
    calamari::package::zip_writer::write(&changed, &zip, true).expect("a package can be made");
    std::fs::rename(&zip, &new).expect("an own file can be moved");
    std::fs::remove_dir_all(&changed).expect("an own folder can be removed");
    pair(
        place,
        table,
        "zip of 100 MB in 3,000 files, 1 % of them changed",
        &old,
        &new,
    );
}

/// What is measured of each contender: making the delta (signature included), and making the new file of it.
fn pair(place: &Place, table: &mut Table, what: &str, old: &Path, new: &Path) {
    let folder = place.fresh("delta");
    let own = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (old_name, new_name) = (old.to_string_lossy(), new.to_string_lossy());
    let calamari = |arguments: &[&str]| start(&folder, &place.calamari, &[&["octodiff"], arguments].concat());
    let tool = |program: &str, arguments: &[&str]| start(&folder, program, arguments);
    let own_program = |arguments: &[&str]| start(&folder, &place.own, arguments);
    let checked = |result: &str, spent: Spent| {
        same_file(new, Path::new(result));
        std::fs::remove_file(result).expect("an own file can be removed");
        spent
    };
    let result = own("result");
    let batch = |suffix: &str| own(&format!("batch{suffix}"));

    table.about(&format!("delta of {what}: making it, with the signature"));
    let made: [Contender<'_>; 6] = [
        Box::new(|| {
            let signature = calamari(&["signature", &old_name, &own("octosig")]);
            sum(
                signature,
                calamari(&["delta", &own("octosig"), &new_name, &own("octodelta")]),
            )
        }),
        Box::new(|| own_program(&["cut", &old_name, &new_name, &own("bundle")])),
        Box::new(|| {
            let signature = tool("rdiff", &["-f", "signature", &old_name, &own("rsig")]);
            sum(
                signature,
                tool("rdiff", &["-f", "delta", &own("rsig"), &new_name, &own("rdelta")]),
            )
        }),
        Box::new(|| {
            let write = format!("--only-write-batch={}", batch(""));
            tool(
                "rsync",
                &["--no-whole-file", "--ignore-times", &write, &new_name, &old_name],
            )
        }),
        Box::new(|| {
            tool(
                "xdelta3",
                &["-1", "-f", "-e", "-s", &old_name, &new_name, &own("xdelta")],
            )
        }),
        Box::new(|| {
            let from = format!("--patch-from={old_name}");
            tool(
                "zstd",
                &[
                    "-q",
                    "-f",
                    "-3",
                    "--long=27",
                    &from,
                    &new_name,
                    "-o",
                    &own("zdelta"),
                ],
            )
        }),
    ];
    let [ours, chunks, rdiff, rsync, xdelta, zstd] = alternate(ROUNDS, made);
    let size = |name: &str| {
        std::fs::metadata(folder.join(name))
            .expect("the file is there")
            .len() as f64
    };
    let whole = new.metadata().expect("the file is there").len() as f64;
    table.ours("calamari octodiff signature, delta", ours, &speed(whole, ours));
    table.peer("rdiff signature, delta", ours, rdiff, Goal::pass(AtLeast(1.0)));
    table.peer("content-defined chunks, both files cut", ours, chunks, Goal::NONE);
    table.peer("rsync --only-write-batch", ours, rsync, Goal::NONE);
    table.peer("xdelta3 -1", ours, xdelta, Goal::NONE);
    table.peer("zstd -3 --patch-from", ours, zstd, Goal::NONE);

    table.about(&format!("delta of {what}: its size"));
    let rsync_size = size("batch");
    let mut line = |what: &str, bytes: f64, goal: Goal| {
        table.figure(
            what,
            bytes,
            &megabytes,
            goal,
            &format!("{:>7.2} % of the file", bytes / whole * 100.0),
        );
    };
    line("octodiff", size("octodelta"), Goal::NONE);
    line(
        "content-defined chunks, with their manifest",
        size("bundle"),
        Goal::NONE,
    );
    line("rdiff", size("rdelta"), Goal::NONE);
    line("rsync", rsync_size, Goal::NONE);
    line("xdelta3 -1", size("xdelta"), Goal::NONE);
    line("zstd -3 --patch-from", size("zdelta"), Goal::NONE);
    let smaller = size("octodelta").min(size("bundle"));
    line(
        "the smaller of our two, which the Server sends",
        smaller,
        Goal::at_most(rsync_size, rsync_size / 2.0),
    );

    table.about(&format!("delta of {what}: making the new file of it"));
    let applied: [Contender<'_>; 6] = [
        Box::new(|| {
            checked(
                &result,
                calamari(&["patch", &old_name, &own("octodelta"), &result]),
            )
        }),
        Box::new(|| {
            checked(
                &result,
                own_program(&["assemble", &old_name, &own("bundle"), &result]),
            )
        }),
        Box::new(|| {
            checked(
                &result,
                tool("rdiff", &["patch", &old_name, &own("rdelta"), &result]),
            )
        }),
        Box::new(|| {
            std::fs::copy(old, &result).expect("a file can be copied");
            checked(
                &result,
                tool("rsync", &[&format!("--read-batch={}", batch("")), &result]),
            )
        }),
        Box::new(|| {
            checked(
                &result,
                tool("xdelta3", &["-f", "-d", "-s", &old_name, &own("xdelta"), &result]),
            )
        }),
        Box::new(|| {
            let from = format!("--patch-from={old_name}");
            let asked = [
                "-q",
                "-f",
                "-d",
                "--long=27",
                &from,
                &own("zdelta"),
                "-o",
                &result,
            ];
            checked(&result, tool("zstd", &asked))
        }),
    ];
    let [ours, chunks, rdiff, rsync, xdelta, zstd] = alternate(ROUNDS, applied);
    table.ours("calamari octodiff patch", ours, &speed(whole, ours));
    table.peer("rdiff patch (no checksum)", ours, rdiff, Goal::NONE);
    table.peer("content-defined chunks", ours, chunks, Goal::NONE);
    table.peer("rsync --read-batch", ours, rsync, Goal::NONE);
    table.peer("xdelta3 -d", ours, xdelta, Goal::NONE);
    table.peer("zstd -d --patch-from", ours, zstd, Goal::NONE);
}

fn sum(first: Spent, second: Spent) -> Spent {
    Spent {
        wall: first.wall + second.wall,
        cpu: first.cpu + second.cpu,
    }
}

fn speed(bytes: f64, spent: Spent) -> String {
    format!("{:>7.0} MB/s", bytes / 1e6 / spent.cpu.as_secs_f64())
}

/// What the Server does: cuts the new file and packs, after the manifest, what the old one has not got. That one the receiver
/// cuts.
pub fn cut(old: &Path, new: &Path, bundle: &Path) {
    let have = manifest(old);
    let manifest = manifest(new);
    let have: std::collections::HashSet<ChunkHash> = have.distinct().map(|piece| piece.hash).collect();
    let missing = manifest.missing(|piece| have.contains(&piece.hash));
    let mut file = BufWriter::new(File::create(bundle).expect("a file can be made"));
    manifest.write(&mut file).expect("the manifest can be written");
    let new = File::open(new).expect("the file is there");
    Bundle::write(&manifest, &missing, BufReader::new(new), file).expect("the bundle can be written");
}

/// What the receiver does: takes from the old file what it has, and the rest from the bundle.
pub fn assemble(old: &Path, bundle: &Path, result: &Path) {
    let mut file = File::open(bundle).expect("the file is there");
    let manifest = Manifest::read(&mut file).expect("a manifest");
    let begin = manifest_length(&manifest);
    file.seek(SeekFrom::Start(begin)).expect("a file has places");
    let mut bundle = Bundle::open(&manifest, file).expect("a bundle");
    let mut basis = Basis::of(old);
    let result = BufWriter::new(File::create(result).expect("a file can be made"));
    chunk::assemble(&manifest, &mut [&mut bundle, &mut basis], result, 1 << 32).expect("nothing is missing");
}

fn manifest(path: &Path) -> Manifest {
    chunk::cut(File::open(path).expect("the file is there")).expect("the file can be read")
}

fn manifest_length(manifest: &Manifest) -> u64 {
    let mut bytes = Vec::new();
    manifest
        .write(&mut bytes)
        .expect("memory takes what is written to it");
    bytes.len() as u64
}

/// The chunks of a file that is here.
struct Basis {
    file: File,
    places: std::collections::HashMap<ChunkHash, u64>,
}

impl Basis {
    fn of(path: &Path) -> Self {
        let mut position = 0;
        let mut places = std::collections::HashMap::new();
        for piece in manifest(path).pieces() {
            places.insert(piece.hash, position);
            position += u64::from(piece.length);
        }
        Self {
            file: File::open(path).expect("the file is there"),
            places,
        }
    }
}

impl ChunkSource for Basis {
    fn read_chunk(&mut self, piece: &Piece, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
        let Some(place) = self.places.get(&piece.hash) else {
            return Ok(false);
        };
        self.file.seek(SeekFrom::Start(*place))?;
        buffer.resize(piece.length as usize, 0);
        self.file.read_exact(buffer)?;
        Ok(true)
    }
}

//! Makes packages of every format that the runner reads.

use std::io::{Cursor, Write};
use tar::EntryType;
use zip::write::SimpleFileOptions;

/// Something in a package.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A file and what it holds.
    File(&'a str, &'a str),
    /// The same, executable.
    Program(&'a str, &'a str),
    /// A link and where it leads.
    Link(&'a str, &'a str),
    /// An empty folder.
    Folder(&'a str),
}

impl<'a> Item<'a> {
    /// The name in the package.
    pub fn name(self) -> &'a str {
        match self {
            Self::File(name, _) | Self::Program(name, _) | Self::Link(name, _) | Self::Folder(name) => name,
        }
    }

    fn mode(self) -> u32 {
        match self {
            Self::Program(..) => 0o755,
            _ => 0o644,
        }
    }
}

/// The bytes of a package whose file name ends like this.
pub fn pack(file_name: &str, items: &[Item<'_>]) -> Vec<u8> {
    let lower = file_name.to_lowercase();
    let is = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if is(&[".tar.gz", ".tgz", ".tar.z"]) {
        gzip(&tar_of(items))
    } else if is(&[".tar.bz2", ".tar.bz", ".tbz", ".tbz2"]) {
        bzip2(&tar_of(items))
    } else if is(&[".tar.xz"]) {
        xz(&tar_of(items))
    } else if is(&[".tar.zst"]) {
        zstandard(&tar_of(items))
    } else if is(&[".tar"]) {
        tar_of(items)
    } else if is(&[".nupkg"]) {
        nupkg(file_name, items)
    } else {
        zip_of(items)
    }
}

/// A zip, as it is packed on a system with modes and links.
pub fn zip_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for item in items {
        let options = SimpleFileOptions::default().unix_permissions(item.mode());
        match *item {
            Item::File(name, contents) | Item::Program(name, contents) => {
                writer.start_file(name, options).expect("started");
                writer.write_all(contents.as_bytes()).expect("written");
            }
            Item::Link(name, target) => writer.add_symlink(name, target, options).expect("added"),
            Item::Folder(name) => writer
                .add_directory(name, options.unix_permissions(0o755))
                .expect("added"),
        }
    }
    writer.finish().expect("finished").into_inner()
}

/// A tar in the form of GNU, which has room for any name.
pub fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(item.mode());
        header.set_mtime(1_700_000_000);
        header.set_size(0);
        match *item {
            Item::File(name, contents) | Item::Program(name, contents) => {
                header.set_size(contents.len() as u64);
                builder
                    .append_data(&mut header, name, contents.as_bytes())
                    .expect("appended");
            }
            Item::Link(name, target) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, name, target).expect("appended");
            }
            Item::Folder(name) => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                builder
                    .append_data(&mut header, format!("{name}/"), std::io::empty())
                    .expect("appended");
            }
        }
    }
    builder.into_inner().expect("finished")
}

/// A zip with what describes it; id and version are those of the file name.
fn nupkg(file_name: &str, items: &[Item<'_>]) -> Vec<u8> {
    let name = versioning::PackageFileName::parse(file_name).expect("the name of a package");
    let (id, version) = (name.package_id, name.version.to_string());
    let manifest = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\">\n  <metadata minClientVersion=\"2.12\">\n    \
         <id>{id}</id>\n    <version>{version}</version>\n    <title>{id}</title>\n    <authors>Acme &amp; Sons</authors>\n    \
         <license type=\"expression\">MIT</license>\n    <description>What it &lt;does&gt;</description>\n    \
         <dependencies>\n      <group targetFramework=\"net8.0\" />\n    </dependencies>\n  </metadata>\n</package>\n"
    );
    let manifest_name = format!("{id}.nuspec");
    let mut all = vec![
        Item::File("_rels/.rels", "<Relationships/>"),
        Item::File(&manifest_name, &manifest),
        Item::File("[Content_Types].xml", "<Types/>"),
        Item::File("package/services/metadata/core-properties/1.psmdcp", "<core/>"),
    ];
    all.extend_from_slice(items);
    zip_of(&all)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an encoder");
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

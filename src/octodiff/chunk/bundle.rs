//! What the receiver of a file lacks besides its manifest.
//!
//! As a file: `MANTLEBUNDLE`, a version (1), the hash of the manifest, the selection's bytes, and the selected chunks one after
//! the other.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use super::{ChunkHash, ChunkSource, Manifest, Piece, Selection, is, missing};
use crate::error::{Error, File};
use crate::source::{Source, fill};

const MAGIC: &[u8] = b"MANTLEBUNDLE";
const VERSION: u8 = 1;

/// A bundle while it is used.
pub struct Bundle<F> {
    file: F,
    /// Where in the bundle its chunks begin.
    places: HashMap<ChunkHash, u64>,
}

impl Bundle<()> {
    /// Writes a bundle; `new` is the file that the manifest was made of, read from its beginning.
    ///
    /// # Errors
    /// When the file is not that any more, or a file cannot be read or written.
    pub fn write(
        manifest: &Manifest,
        selection: &Selection,
        mut new: impl Read,
        mut bundle: impl Write,
    ) -> Result<(), Error> {
        let written = Error::writing(File::Bundle);
        let head = [MAGIC, &[VERSION], &manifest.hash(), &selection.bytes()].concat();
        bundle.write_all(&head).map_err(&written)?;
        let mut selected = selection.pieces(manifest).peekable();
        let mut buffer = Vec::new();
        let mut offset = 0;
        for piece in manifest.pieces() {
            buffer.resize(piece.length as usize, 0);
            let count = fill(&mut new, &mut buffer).map_err(Error::reading(File::New))?;
            // The distinct chunks stand in the order of their first places, so the next one is always the first to come.
            if selected.next_if(|next| next.hash == piece.hash).is_some() {
                if !is(piece, &buffer[..count]) {
                    return Err(missing(piece, offset));
                }
                bundle.write_all(&buffer).map_err(&written)?;
            }
            offset += u64::from(piece.length);
        }
        bundle.flush().map_err(&written)
    }
}

impl<F: Read + Seek> Bundle<F> {
    /// Reads what is in a bundle, from the present position of the file on.
    ///
    /// # Errors
    /// When it is none, is damaged or of another manifest, or cannot be read.
    pub fn open(manifest: &Manifest, mut file: F) -> Result<Self, Error> {
        let read = Error::reading(File::Bundle);
        let begin = file.stream_position().map_err(&read)?;
        let mut source = Source::new(BufReader::with_capacity(64 * 1024, &mut file), File::Bundle);
        source.expect(MAGIC, "it does not begin with MANTLEBUNDLE")?;
        let version = source.byte("its version")?;
        if version != VERSION {
            return Err(Error::NewerFormat {
                file: File::Bundle,
                version,
            });
        }
        if source.array::<32>("the hash of its manifest")? != manifest.hash() {
            return Err(source.corrupt("it is for another manifest"));
        }
        let selection = source.bytes(manifest.distinct().count().div_ceil(8) as u64)?;
        let selection = Selection::read(manifest, &selection)?;
        let mut position = begin + source.offset();
        let mut places = HashMap::new();
        for piece in selection.pieces(manifest) {
            places.insert(piece.hash, position);
            position += u64::from(piece.length);
        }
        if file.seek(SeekFrom::End(0)).map_err(&read)? != position {
            return Err(Error::Corrupt {
                file: File::Bundle,
                offset: position,
                why: "it is not as long as its chunks together",
            });
        }
        Ok(Self { file, places })
    }

    /// Whether it has a chunk.
    #[must_use]
    pub fn has(&self, hash: &ChunkHash) -> bool {
        self.places.contains_key(hash)
    }
}

impl<F: Read + Seek> ChunkSource for Bundle<F> {
    fn read_chunk(&mut self, piece: &Piece, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let Some(place) = self.places.get(&piece.hash) else {
            return Ok(false);
        };
        self.file.seek(SeekFrom::Start(*place))?;
        buffer.resize(piece.length as usize, 0);
        self.file.read_exact(buffer)?;
        Ok(true)
    }
}

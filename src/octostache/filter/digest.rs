//! Hashes and Base64.

use super::Answer;
use crate::number::int32;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::Digest;

/// Bits that the last character leaves over are ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) fn to_base64(input: &str, arguments: &[String]) -> Option<String> {
    Some(LENIENT.encode(bytes(input, encoding(arguments)?)))
}

pub(super) fn from_base64(input: &str, arguments: &[String]) -> Answer {
    if arguments.len() > 1 {
        return Ok(None);
    }
    let Some(bytes) = decoded(input) else {
        return Err("the input is not Base64".to_owned());
    };
    Ok(encoding(arguments).map(|encoding| match encoding {
        Encoding::Utf8 => String::from_utf8_lossy(&bytes).into_owned(),
        Encoding::Utf16 => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            let mut text = String::from_utf16_lossy(&units);
            if !rest.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            text
        }
    }))
}

/// The hash as lower-case hex; the size in bytes and the form of the input come in any order, each once.
pub(super) fn hash(name: &str, input: &str, arguments: &[String]) -> Option<String> {
    let (mut size, mut data) = (None, None);
    if arguments.len() > 2 {
        return None;
    }
    for argument in arguments {
        match int32(argument) {
            Some(number) => {
                let number = usize::try_from(number).ok().filter(|number| *number > 0)?;
                if size.replace(number).is_some() {
                    return None;
                }
            }
            None => {
                let bytes = if argument.eq_ignore_ascii_case("base64") {
                    decoded(input)?
                } else {
                    bytes(input, encoding(std::slice::from_ref(argument))?)
                };
                if data.replace(bytes).is_some() {
                    return None;
                }
            }
        }
    }
    let data = data.unwrap_or_else(|| input.as_bytes().to_vec());
    let hash: Vec<u8> = match name {
        "md5" => md5::Md5::digest(&data).to_vec(),
        "sha1" => sha1::Sha1::digest(&data).to_vec(),
        "sha256" => sha2::Sha256::digest(&data).to_vec(),
        "sha384" => sha2::Sha384::digest(&data).to_vec(),
        _ => sha2::Sha512::digest(&data).to_vec(),
    };
    let size = size.unwrap_or(hash.len()).min(hash.len());
    Some(hash[..size].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16,
}

fn encoding(arguments: &[String]) -> Option<Encoding> {
    match arguments {
        [] => Some(Encoding::Utf8),
        [name] => match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" => Some(Encoding::Utf8),
            "unicode" => Some(Encoding::Utf16),
            _ => None,
        },
        _ => None,
    }
}

fn bytes(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let plain: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .collect();
    LENIENT.decode(plain).ok()
}

//! BSON with exactly the kinds of elements that the protocol has (`tentacle-protocol.md` 3.4).

use std::collections::HashSet;

use crate::data_stream::DataStream;
use crate::protocol::value::{Document, Value};
use crate::protocol::{Limits, ProtocolError};
use crate::service::KnownTypes;

/// `$type` of a data stream, written where the slot has no type of its own.
pub const DATA_STREAM_TYPE: &str = "Halibut.DataStream, Halibut";

/// Types of the protocol itself.
const PROTOCOL_TYPES: KnownTypes = KnownTypes(&["RequestMessage", "ResponseMessage", "DataStream"]);

/// Most values in one message: what 64 MiB of log lines come to, four times over.
const MOST_VALUES: usize = 2_000_000;

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const BOOLEAN: u8 = 0x08;
const DATE: u8 = 0x09;
const NULL: u8 = 0x0a;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;

const GENERIC: u8 = 0x00;
const UUID_OLD: u8 = 0x03;
const UUID: u8 = 0x04;

/// Reads one document, which must fill `bytes`. Documents of the shape of a stream reference become streams
/// whose content is yet to be read.
pub fn decode(bytes: &[u8], known: KnownTypes, limits: &Limits) -> Result<Document, ProtocolError> {
    let mut reader = Reader {
        bytes,
        known,
        nesting: limits.nesting,
        values: 0,
    };
    let document = reader.document(0)?;
    if reader.bytes.is_empty() {
        Ok(document)
    } else {
        Err(ProtocolError::Bson("bytes after the document"))
    }
}

/// Writes one document.
pub fn encode(document: &Document) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_document(&mut out, document);
    out
}

/// Whether the receiver knows from the place alone what type stands there. If not, streams tell theirs;
/// documents bring their own.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Slot {
    Typed,
    Untyped,
}

struct Reader<'a> {
    bytes: &'a [u8],
    known: KnownTypes,
    nesting: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self, depth: usize) -> Result<Document, ProtocolError> {
        let mut elements: Vec<(String, Value)> = Vec::new();
        let mut names = Names::default();
        self.container(depth, |reader, name, kind| {
            if names.repeats(&elements, name) {
                return Err(ProtocolError::DuplicateElement(name.chars().take(60).collect()));
            }
            let value = reader.value(kind, depth)?;
            if name == "$type" {
                let text = value.as_str().filter(|_| elements.is_empty());
                let allowed =
                    text.is_some_and(|text| PROTOCOL_TYPES.contains(text) || reader.known.contains(text));
                if !allowed {
                    return Err(ProtocolError::unknown_type(&value));
                }
            }
            elements.push((name.to_owned(), value));
            Ok(())
        })?;
        Ok(Document(elements))
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, ProtocolError> {
        let mut values = Vec::new();
        self.container(depth, |reader, _, kind| {
            values.push(reader.value(kind, depth)?);
            Ok(())
        })?;
        Ok(values)
    }

    /// Length, elements, zero byte; the elements must end exactly where the length says.
    fn container(
        &mut self,
        depth: usize,
        mut element: impl FnMut(&mut Self, &'a str, u8) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if depth >= self.nesting {
            return Err(ProtocolError::TooLarge {
                what: "nested documents",
                limit: self.nesting as u64,
            });
        }
        let declared = self.int32()?;
        let length = usize::try_from(declared)
            .ok()
            .and_then(|length| length.checked_sub(5));
        let length = length.ok_or(ProtocolError::Bson("an impossible length"))?;
        let content = self.take(length)?;
        if self.take(1)? != [0] {
            return Err(ProtocolError::Bson("a document without its end"));
        }
        let after = std::mem::replace(&mut self.bytes, content);
        while !self.bytes.is_empty() {
            self.values += 1;
            if self.values > MOST_VALUES {
                return Err(ProtocolError::TooLarge {
                    what: "values in a message",
                    limit: MOST_VALUES as u64,
                });
            }
            let kind = self.take(1)?[0];
            let name = self.name()?;
            element(self, name, kind)?;
        }
        self.bytes = after;
        Ok(())
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<Value, ProtocolError> {
        Ok(match kind {
            DOUBLE => Value::Double(f64::from_le_bytes(self.fixed()?)),
            STRING => Value::String(self.text()?.to_owned()),
            DOCUMENT => stream_or_document(self.document(depth + 1)?)?,
            ARRAY => Value::Array(self.array(depth + 1)?),
            BINARY => self.binary()?,
            BOOLEAN => match self.take(1)? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return Err(ProtocolError::Bson("a truth value other than 0 and 1")),
            },
            DATE => Value::Date(self.int64()?),
            NULL => Value::Null,
            INT32 => Value::Int32(self.int32()?),
            INT64 => Value::Int64(self.int64()?),
            _ => return Err(ProtocolError::Bson("an element of an unknown kind")),
        })
    }

    fn binary(&mut self) -> Result<Value, ProtocolError> {
        let length = usize::try_from(self.int32()?).map_err(|_| ProtocolError::Bson("a negative length"))?;
        let subtype = self.take(1)?[0];
        let bytes = self.take(length)?;
        match (subtype, <[u8; 16]>::try_from(bytes)) {
            (UUID | UUID_OLD, Ok(guid)) => Ok(Value::Guid(guid)),
            (GENERIC, _) => Ok(Value::Binary(bytes.to_vec())),
            _ => Err(ProtocolError::Bson("binary of an unknown kind")),
        }
    }

    fn text(&mut self) -> Result<&'a str, ProtocolError> {
        let declared = usize::try_from(self.int32()?)
            .ok()
            .and_then(|length| length.checked_sub(1));
        let bytes = self.take(declared.ok_or(ProtocolError::Bson("an impossible length"))?)?;
        if self.take(1)? != [0] {
            return Err(ProtocolError::Bson("a text without its end"));
        }
        std::str::from_utf8(bytes).map_err(|_| ProtocolError::Bson("a text that is not UTF-8"))
    }

    fn name(&mut self) -> Result<&'a str, ProtocolError> {
        let end = self.bytes.iter().position(|&byte| byte == 0);
        let bytes = self.take(end.ok_or(ProtocolError::Bson("a name without its end"))?)?;
        self.take(1)?;
        std::str::from_utf8(bytes).map_err(|_| ProtocolError::Bson("a name that is not UTF-8"))
    }

    fn int32(&mut self) -> Result<i32, ProtocolError> {
        Ok(i32::from_le_bytes(self.fixed()?))
    }

    fn int64(&mut self) -> Result<i64, ProtocolError> {
        Ok(i64::from_le_bytes(self.fixed()?))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take gives as many bytes as asked for"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(ProtocolError::Bson("cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// Finds repeated names; by looking at each while they are few.
#[derive(Default)]
struct Names<'a>(HashSet<&'a str>);

impl<'a> Names<'a> {
    fn repeats(&mut self, elements: &[(String, Value)], name: &'a str) -> bool {
        const FEW: usize = 16;
        // The set is kept from the start of a long document on; in a short one a look at each name is
        // cheaper.
        if elements.len() < FEW {
            self.0.insert(name);
            return elements.iter().any(|(present, _)| present == name);
        }
        !self.0.insert(name)
    }
}

/// `{[$type,] id: guid, length: number}` and nothing else is a reference to a stream.
fn stream_or_document(document: Document) -> Result<Value, ProtocolError> {
    let elements = match &document.0[..] {
        [(name, _), rest @ ..] if name == "$type" && document.type_name() == Some("DataStream") => rest,
        all => all,
    };
    if let [(first, Value::Guid(id)), (second, length)] = elements
        && first == "id"
        && second == "length"
        && let Some(length) = length.as_i64()
    {
        let length = u64::try_from(length).map_err(|_| ProtocolError::DataStream("a negative length"))?;
        return Ok(Value::Stream(DataStream::awaited(*id, length)));
    }
    if document.type_name() == Some("DataStream") {
        return Err(ProtocolError::DataStream("a reference without id and length"));
    }
    Ok(Value::Document(document))
}

fn write_document(out: &mut Vec<u8>, document: &Document) {
    container(out, |out| {
        for (name, value) in &document.0 {
            write_element(out, name, value, Slot::Typed);
        }
    });
}

/// Writes kind, name and value.
pub(crate) fn write_element(out: &mut Vec<u8>, name: &str, value: &Value, slot: Slot) {
    let kind = match value {
        Value::Null => NULL,
        Value::Boolean(_) => BOOLEAN,
        Value::Int32(_) => INT32,
        Value::Int64(_) => INT64,
        Value::Double(_) => DOUBLE,
        Value::String(_) => STRING,
        Value::Date(_) => DATE,
        Value::Guid(_) | Value::Binary(_) => BINARY,
        Value::Array(_) => ARRAY,
        Value::Document(_) | Value::Stream(_) => DOCUMENT,
    };
    write_head(out, kind, name);
    match value {
        Value::Null => {}
        Value::Boolean(truth) => out.push(u8::from(*truth)),
        Value::Int32(number) => out.extend(number.to_le_bytes()),
        Value::Int64(number) | Value::Date(number) => out.extend(number.to_le_bytes()),
        Value::Double(number) => out.extend(number.to_le_bytes()),
        Value::String(text) => write_text(out, text),
        Value::Guid(guid) => write_binary(out, UUID, guid),
        Value::Binary(bytes) => write_binary(out, GENERIC, bytes),
        Value::Array(values) => write_array(out, values, slot),
        Value::Document(document) => write_document(out, document),
        Value::Stream(stream) => container(out, |out| {
            if slot == Slot::Untyped {
                write_text_element(out, "$type", DATA_STREAM_TYPE);
            }
            write_element(out, "id", &Value::Guid(stream.id()), Slot::Typed);
            let length = i64::try_from(stream.length()).unwrap_or(i64::MAX);
            write_element(out, "length", &Value::Int64(length), Slot::Typed);
        }),
    }
}

/// Writes an element that is text.
pub(crate) fn write_text_element(out: &mut Vec<u8>, name: &str, text: &str) {
    write_head(out, STRING, name);
    write_text(out, text);
}

/// Writes an element that is a document of what `content` writes.
pub(crate) fn write_document_element(out: &mut Vec<u8>, name: &str, content: impl FnOnce(&mut Vec<u8>)) {
    write_head(out, DOCUMENT, name);
    container(out, content);
}

/// Writes an element that is an array.
pub(crate) fn write_array_element(out: &mut Vec<u8>, name: &str, values: &[Value], slot: Slot) {
    write_head(out, ARRAY, name);
    write_array(out, values, slot);
}

/// Writes a length, what `content` writes, and the end.
pub(crate) fn container(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    content(out);
    out.push(0);
    // Messages beyond the limit on size are refused after encoding, long before this could saturate.
    let length = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn write_array(out: &mut Vec<u8>, values: &[Value], slot: Slot) {
    container(out, |out| {
        for (position, value) in values.iter().enumerate() {
            write_element(out, &position.to_string(), value, slot);
        }
    });
}

fn write_head(out: &mut Vec<u8>, kind: u8, name: &str) {
    out.push(kind);
    // A name ends at its first zero byte, whatever follows.
    out.extend(name.bytes().take_while(|&byte| byte != 0));
    out.push(0);
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend(i32::try_from(text.len() + 1).unwrap_or(i32::MAX).to_le_bytes());
    out.extend(text.as_bytes());
    out.push(0);
}

fn write_binary(out: &mut Vec<u8>, subtype: u8, bytes: &[u8]) {
    out.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_le_bytes());
    out.push(subtype);
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Document, ProtocolError> {
        decode(bytes, KnownTypes(&["ScriptTicket"]), &Limits::default())
    }

    #[test]
    fn the_heartbeat_is_fourteen_bytes() {
        let heartbeat = Document::new().with("Message", Value::Null);
        let bytes = hex::decode("0e0000000a4d6573736167650000").expect("hexadecimal");
        assert_eq!(encode(&heartbeat), bytes);
        assert_eq!(read(&bytes), Ok(heartbeat));
    }

    #[test]
    fn a_guid_and_a_date_have_the_bytes_of_the_original() {
        let id = uuid::Uuid::parse_str("8c381b65-bb84-4e47-a84b-d665b55f8b7f")
            .expect("a guid")
            .to_bytes_le();
        let document = Document::new()
            .with("activityId", Value::Guid(id))
            .with("Occurred", Value::Date(1_704_067_200_123));
        let text = hex::encode(encode(&document));
        assert!(
            text.contains(
                "05616374697669747949640010000000 04651b388c84bb474ea84bd665b55f8b7f"
                    .replace(' ', "")
                    .as_str()
            )
        );
        assert!(text.contains("094f63637572726564007bf451c28c010000"), "{text}");
    }

    #[test]
    fn a_reference_to_a_stream_tells_its_type_in_an_untyped_slot_only() {
        let stream = || Value::Stream(DataStream::awaited([7; 16], 5));
        let mut untyped = Vec::new();
        container(&mut untyped, |out| {
            write_array_element(out, "params", &[stream()], Slot::Untyped);
        });
        let typed = encode(&Document::new().with("Contents", stream()));
        assert!(untyped.windows(6).any(|window| window == b"$type\0"));
        assert!(!typed.windows(6).any(|window| window == b"$type\0"));
        assert_eq!(
            read(&untyped).expect("read").get("params"),
            Some(&Value::Array(vec![stream()]))
        );
        assert_eq!(read(&typed).expect("read").get("Contents"), Some(&stream()));
    }

    #[test]
    fn an_element_cannot_stand_twice() {
        let twice = Document(vec![("a".to_owned(), Value::Null), ("a".to_owned(), Value::Null)]);
        assert_eq!(
            read(&encode(&twice)),
            Err(ProtocolError::DuplicateElement("a".to_owned()))
        );
        let mut many: Vec<_> = (0..100).map(|number| (number.to_string(), Value::Null)).collect();
        assert!(read(&encode(&Document(many.split_off(0)))).is_ok());
        let mut many: Vec<_> = (0..100).map(|number| (number.to_string(), Value::Null)).collect();
        many.push(("3".to_owned(), Value::Null));
        assert!(read(&encode(&Document(many))).is_err());
    }

    #[test]
    fn a_type_stands_first_and_is_known() {
        let known = Document::typed("Octopus.Shared.Contracts.ScriptTicket, Octopus.Shared");
        assert!(read(&encode(&known)).is_ok());
        let foreign = Document::typed("System.Windows.Data.ObjectDataProvider, PresentationFramework");
        assert!(matches!(
            read(&encode(&foreign)),
            Err(ProtocolError::UnknownType(_))
        ));
        let late = Document::new()
            .with("a", Value::Null)
            .with("$type", "Octopus.Shared.Contracts.ScriptTicket");
        assert!(matches!(read(&encode(&late)), Err(ProtocolError::UnknownType(_))));
        let no_text = Document::new().with("$type", Value::Int32(1));
        assert!(matches!(
            read(&encode(&no_text)),
            Err(ProtocolError::UnknownType(_))
        ));
    }

    #[test]
    fn documents_stand_at_most_sixty_four_deep() {
        let nested = |levels| (1..levels).fold(Document::new(), |inner, _| Document::new().with("d", inner));
        assert!(read(&encode(&nested(64))).is_ok());
        assert!(matches!(
            read(&encode(&nested(65))),
            Err(ProtocolError::TooLarge { .. })
        ));
    }

    #[test]
    fn containers_end_where_they_say() {
        let bytes = encode(&Document::new().with("a", Document::new().with("b", "text")));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let more = [&bytes[..], b"\0"].concat();
        assert!(read(&more).is_err());
        for length in [0, 4, 5, -1, i32::MAX, i32::MIN] {
            let mut wrong = bytes.clone();
            wrong[..4].copy_from_slice(&i32::to_le_bytes(length));
            assert!(read(&wrong).is_err(), "{length}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<()>().prop_map(|()| Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i32>().prop_map(Value::Int32),
            any::<i64>().prop_map(Value::Int64),
            any::<i64>().prop_map(Value::Date),
            (-1e300..1e300).prop_map(Value::Double),
            ".*".prop_map(Value::String),
            any::<[u8; 16]>().prop_map(Value::Guid),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
            (any::<[u8; 16]>(), 0..i64::MAX as u64)
                .prop_map(|(id, length)| Value::Stream(DataStream::awaited(id, length))),
        ];
        leaf.boxed()
    }

    fn tree() -> impl Strategy<Value = Document> {
        let names = proptest::collection::btree_set("[a-zA-Z]{1,8}", 0..6);
        (
            names,
            proptest::collection::vec(value(), 6),
            proptest::collection::vec(value(), 0..4),
        )
            .prop_map(|(names, values, listed)| {
                let elements = names.into_iter().zip(values).collect();
                let inner = Document(elements);
                Document::new().with("1", inner).with("2", Value::Array(listed))
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(document in tree()) {
            prop_assert_eq!(read(&encode(&document)), Ok(document));
        }

        #[test]
        fn nothing_makes_it_panic(document in tree(), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
            let mut bytes = encode(&document);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes);
            let _ = read(&bytes[..cut % bytes.len()]);
        }
    }
}

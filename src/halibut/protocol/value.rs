//! What messages are made of.

use crate::data_stream::DataStream;

/// One value of a message (`tentacle-protocol.md` 3.4).
#[derive(Debug, PartialEq)]
pub enum Value {
    /// Nothing; written, never left out.
    Null,
    /// A truth value.
    Boolean(bool),
    /// 32 bits: int, short, byte and the number of an enumeration member.
    Int32(i32),
    /// 64 bits.
    Int64(i64),
    /// A floating-point number.
    Double(f64),
    /// Text, also used for durations and URIs.
    String(String),
    /// A moment: milliseconds since 1970 in UTC.
    Date(i64),
    /// A GUID as its 16 bytes on the wire: the first three groups little-endian.
    Guid([u8; 16]),
    /// Bytes.
    Binary(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// Named values in order.
    Document(Document),
    /// Content that follows the message.
    Stream(DataStream),
}

impl Value {
    /// The text, when this is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The number, when this is an integer of either width.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int32(number) => Some(i64::from(*number)),
            Value::Int64(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Self {
        Value::Document(document)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Named values in the order in which they are written. Names are unique.
#[derive(Debug, Default, PartialEq)]
pub struct Document(pub(crate) Vec<(String, Value)>);

impl Document {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty document that tells its type: `Full.Type.Name, Assembly` stands first (`tentacle-protocol.md`
    /// 3.3).
    pub fn typed(type_name: &str) -> Self {
        Self::new().with("$type", type_name)
    }

    /// Adds a value at the end; for building.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The value of that name; when there is none, of that name in another case.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|position| &self.0[position].1)
    }

    /// Takes the value of that name out; null when there is none. Case as in [`Document::get`].
    pub fn take(&mut self, name: &str) -> Value {
        match self.position(name) {
            Some(position) => self.0.remove(position).1,
            None => Value::Null,
        }
    }

    /// The simple class name of `$type`, without namespace and assembly.
    pub fn type_name(&self) -> Option<&str> {
        let (name, value) = self.0.first()?;
        if name != "$type" {
            return None;
        }
        let full = value.as_str()?.split(',').next()?.trim();
        full.rsplit('.').next()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, name: &str) -> Option<usize> {
        let exact = self.0.iter().position(|(candidate, _)| candidate == name);
        exact.or_else(|| {
            self.0
                .iter()
                .position(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
        })
    }
}

impl IntoIterator for Document {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

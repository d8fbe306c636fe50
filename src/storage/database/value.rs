//! Values that are bound to statements. A null has a type, because PostgreSQL asks for it.

/// One bound value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `boolean`
    Boolean(Option<bool>),
    /// `bigint`
    Integer(Option<i64>),
    /// `text`
    Text(Option<String>),
    /// `bytea`
    Bytes(Option<Vec<u8>>),
}

macro_rules! from {
    ($($type:ty => $variant:ident with $convert:expr;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let convert: fn($type) -> _ = $convert;
                Self::$variant(Some(convert(value)))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )*};
}

from! {
    bool => Boolean with |value| value;
    i64 => Integer with |value| value;
    i32 => Integer with i64::from;
    String => Text with |value| value;
    &str => Text with str::to_string;
    &String => Text with String::clone;
    Vec<u8> => Bytes with |value| value;
}

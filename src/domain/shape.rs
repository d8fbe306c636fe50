//! The one way in which resources are read and written as JSON (`rest-api.md` 1.2).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Declares structs whose members are written in PascalCase; absent and null members take their default.
/// With `+ extra` before the name the members that we do not know are kept, too.
macro_rules! shape {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        pub struct $name {
            $($(#[$field_meta])* #[serde(deserialize_with = "crate::shape::null_is_default")] pub $field: $type,)*
        }
        $crate::shape::shape!($($rest)*);
    };
    ($(#[$meta:meta])* pub struct + extra $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        pub struct $name {
            $($(#[$field_meta])* #[serde(deserialize_with = "crate::shape::null_is_default")] pub $field: $type,)*
            /// Members that clients sent and that mean nothing to us yet; given back as they came.
            #[serde(flatten)]
            pub extra: $crate::shape::Extra,
        }
        $crate::shape::shape!($($rest)*);
    };
    () => {};
}

/// Declares enums that are written by name and read in any case. The first name is the default.
macro_rules! words {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$word_meta:meta])* $word:ident,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_meta])* $word,)* }

        impl $name {
            /// Every value in order.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The name as it is written.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::ALL[0] }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::shape::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.name().eq_ignore_ascii_case(text))
                    .ok_or_else(|| crate::shape::UnknownWord {
                        text: text.chars().take(100).collect(),
                        expected: Self::ALL.iter().map(|word| word.name()).collect::<Vec<_>>().join(", "),
                    })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use {shape, words};

/// A word that is none of the names of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not one of {expected}.")]
pub struct UnknownWord {
    /// What was given, cut to 100 characters.
    pub text: String,
    /// The names it could have been.
    pub expected: String,
}

/// Members of a resource that we do not know: they are kept and given back. `Links` is never among them,
/// because a request's links are ignored (`rest-api.md` 1.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Extra(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        members.retain(|name, _| !name.eq_ignore_ascii_case("Links") && name != crate::document::SECRETS);
        Ok(Self(members))
    }
}

/// Clients may send any member as null (`rest-api.md` 1.2).
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    words! {
        /// For the tests.
        pub enum Mode {
            /// The default.
            Untenanted,
            /// The other one.
            Tenanted,
        }
    }
    shape! {
        /// For the tests.
        pub struct + extra Thing {
            /// A name.
            pub name: String,
            /// A mode.
            pub tenancy_mode: Mode,
        }
    }

    #[test]
    fn absent_and_null_members_take_defaults_and_unknown_ones_come_back() {
        let thing: Thing =
            serde_json::from_str(r#"{"Name":null,"Colour":{"Is":"red"},"Links":{"Self":"/"}}"#).unwrap();
        assert_eq!(thing.name, "");
        let text = serde_json::to_string(&thing).unwrap();
        assert_eq!(
            text,
            r#"{"Name":"","TenancyMode":"Untenanted","Colour":{"Is":"red"}}"#
        );
    }

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_name_the_choices() {
        assert_eq!(
            serde_json::from_str::<Mode>(r#""tenanted""#).unwrap(),
            Mode::Tenanted
        );
        let error = "x".parse::<Mode>().unwrap_err().to_string();
        assert_eq!(error, "'x' is not one of Untenanted, Tenanted.");
    }
}

//! Ids that are UUIDs, kept and shown as their text.

/// An id of this name and description.
macro_rules! uuid_text {
    ($(#[$about:meta])* $id:ident) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $id(Box<str>);

        impl $id {
            /// One that nothing has had before.
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().hyphenated().to_string().into())
            }

            /// An id as it was kept or asked for. One that nothing has finds nothing.
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(super) use uuid_text;

//! How values stand in columns.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Utc};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use swr_core::commit::{BlobLocation, RepositoryId, RightsVersion};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::manifest::ReferenceKind;
use swr_core::media_type::MediaType;
use swr_core::upload::UploadId;
use swr_core::{RepositoryName, Tag};

/// A value on its way into a column or out of one.
pub(super) struct Sql<T>(pub(super) T);

/// Values may be secret.
impl<T> fmt::Debug for Sql<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
}

/// A column holds what nobody can have put there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a column holds no {0}")]
pub(super) struct Damaged(pub(super) &'static str);

type BoxError = Box<dyn Error + Send + Sync>;

fn damaged<T>(what: &'static str) -> Result<T, BoxError> {
    Err(Box::new(Damaged(what)))
}

/// Texts have everything but the character 0, which the database does not keep: what begins with the character 1
/// stands for the first two. The order of texts is kept.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
}

pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"))
}

fn put_text(text: &str, out: &mut BytesMut) -> Result<IsNull, BoxError> {
    out.put_slice(escaped(text).as_bytes());
    Ok(IsNull::No)
}

/// Text columns: the value is its text.
macro_rules! stands_as_text {
    ($($value:ty => $parse:expr),+ $(,)?) => {$(
        impl ToSql for Sql<&$value> {
            fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
                put_text(self.0.as_str(), out)
            }

            fn accepts(of: &Type) -> bool {
                *of == Type::TEXT
            }

            to_sql_checked!();
        }

        impl FromSql<'_> for Sql<$value> {
            fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
                let value = $parse(&unescaped(<&str>::from_sql(of, raw)?));
                value.map_or_else(|_| damaged(stringify!($value)), |value| Ok(Self(value)))
            }

            fn accepts(of: &Type) -> bool {
                *of == Type::TEXT
            }
        }
    )+};
}

type Infallible<T> = Result<T, std::convert::Infallible>;

stands_as_text! {
    RepositoryName => RepositoryName::parse,
    Tag => Tag::parse,
    MediaType => MediaType::parse,
    UploadId => UploadId::parse,
    BlobLocation => |text: &str| Infallible::Ok(BlobLocation::new(text)),
}

/// Whatever somebody wrote.
impl ToSql for Sql<&str> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        put_text(self.0, out)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TEXT
    }

    to_sql_checked!();
}

impl FromSql<'_> for Sql<String> {
    fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(unescaped(<&str>::from_sql(of, raw)?).into_owned()))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TEXT
    }
}

impl FromSql<'_> for Sql<Box<str>> {
    fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(unescaped(<&str>::from_sql(of, raw)?).into()))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TEXT
    }
}

/// The byte in front of a digest's hash, so that digests are ordered as their texts are.
const fn algorithm_byte(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

impl ToSql for Sql<&Digest> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u8(algorithm_byte(self.0.algorithm()));
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::BYTEA
    }

    to_sql_checked!();
}

impl FromSql<'_> for Sql<Digest> {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        let digest = raw.split_first().and_then(|(first, hash)| {
            let algorithm = Algorithm::ALL.into_iter().find(|of| algorithm_byte(*of) == *first)?;
            Digest::from_bytes(algorithm, hash)
        });
        digest.map_or_else(|| damaged("digest"), |digest| Ok(Self(digest)))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::BYTEA
    }
}

/// Number columns: the value is a number, and not every number is a value.
macro_rules! stands_as_number {
    ($($value:ty => $number:ty, $column:ident, $to:expr, $from:expr),+ $(,)?) => {$(
        impl ToSql for Sql<$value> {
            fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
                let number: $number = $to(self.0);
                number.to_sql(of, out)
            }

            fn accepts(of: &Type) -> bool {
                *of == Type::$column
            }

            to_sql_checked!();
        }

        impl FromSql<'_> for Sql<$value> {
            fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
                let value: Option<$value> = $from(<$number>::from_sql(of, raw)?);
                value.map_or_else(|| damaged(stringify!($value)), |value| Ok(Self(value)))
            }

            fn accepts(of: &Type) -> bool {
                *of == Type::$column
            }
        }
    )+};
}

stands_as_number! {
    DateTime<Utc> => i64, INT8, |at: DateTime<Utc>| at.timestamp_micros(), DateTime::from_timestamp_micros,
    RepositoryId => i64, INT8, |id: RepositoryId| id.0, |id| Some(RepositoryId(id)),
    // No event has a greater place than a column holds.
    EventSeq => i64, INT8, |seq: EventSeq| i64::try_from(seq.0).unwrap_or(i64::MAX),
        |seq: i64| u64::try_from(seq).ok().map(EventSeq),
    RightsVersion => i64, INT8, |version: RightsVersion| version.0.cast_signed(),
        |version: i64| Some(RightsVersion(version.cast_unsigned())),
    // Manifests first, so that what is a blob to somebody stands together.
    ReferenceKind => i16, INT2, |kind| match kind {
        ReferenceKind::Manifest => 0,
        ReferenceKind::Blob => 1,
        ReferenceKind::ForeignBlob => 2,
    }, |kind| match kind {
        0 => Some(ReferenceKind::Manifest),
        1 => Some(ReferenceKind::Blob),
        2 => Some(ReferenceKind::ForeignBlob),
        _ => None,
    },
    // Lengths keep their bits: a column's number has a sign, and nothing compares them there.
    u64 => i64, INT8, |length: u64| length.cast_signed(), |length: i64| Some(length.cast_unsigned()),
    NonZeroU32 => i64, INT8, |limit: NonZeroU32| i64::from(limit.get()),
        |limit: i64| u32::try_from(limit).ok().and_then(NonZeroU32::new),
}

/// The values of the control plane.
#[cfg(feature = "control")]
mod control {
    use chrono::NaiveDate;

    use swr_core::control::credential::{KeyId, Sealed};
    use swr_core::control::grant::GrantLevel;
    use swr_core::control::identity::{
        AccountId, AccountName, PasswordHash, ProjectId, Role, UserId, UserName,
    };
    use swr_core::control::organisation::OrganisationId;
    use swr_core::control::repository::{Category, Visibility};
    use swr_core::control::rule::RuleId;
    use swr_core::control::share::Deadline;
    use swr_core::control::trace::{Operation, TraceId};
    use swr_core::control::trigger::{DeliveryId, TriggerId};
    use swr_core::{OrganisationName, TriggerName};

    use super::*;

    stands_as_text! {
        AccountId => AccountId::parse,
        AccountName => AccountName::parse,
        DeliveryId => |text: &str| Infallible::Ok(DeliveryId::new(text)),
        KeyId => KeyId::parse,
        OrganisationName => OrganisationName::parse,
        ProjectId => ProjectId::parse,
        TraceId => |text: &str| Infallible::Ok(TraceId::new(text)),
        TriggerName => TriggerName::parse,
        UserId => UserId::parse,
        UserName => UserName::parse,
    }

    stands_as_number! {
        GrantLevel => i16, INT2, |level: GrantLevel| i16::from(level.value()),
            |level: i16| u8::try_from(level).ok().and_then(GrantLevel::from_value),
        NaiveDate => i32, INT4, |day: NaiveDate| day.to_epoch_days(), NaiveDate::from_epoch_days,
        OrganisationId => i64, INT8, |id: OrganisationId| id.0, |id| Some(OrganisationId(id)),
        RuleId => i64, INT8, |id: RuleId| id.0, |id| Some(RuleId(id)),
        TriggerId => i64, INT8, |id: TriggerId| id.0, |id| Some(TriggerId(id)),
    }

    /// Columns whose value is one of a few: they have its name.
    macro_rules! stands_as_name {
        ($($value:ty => $name:ident, $parse:expr),+ $(,)?) => {$(
            impl ToSql for Sql<$value> {
                fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
                    put_text(self.0.$name(), out)
                }

                fn accepts(of: &Type) -> bool {
                    *of == Type::TEXT
                }

                to_sql_checked!();
            }

            impl FromSql<'_> for Sql<$value> {
                fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
                    let value = $parse(<&str>::from_sql(of, raw)?);
                    value.map_or_else(|| damaged(stringify!($value)), |value| Ok(Self(value)))
                }

                fn accepts(of: &Type) -> bool {
                    *of == Type::TEXT
                }
            }
        )+};
    }

    stands_as_name! {
        Category => as_str, Category::parse,
        Operation => trace_name, Operation::parse,
        Role => as_str, Role::parse,
    }

    /// Whether it is public.
    impl ToSql for Sql<Visibility> {
        fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
            (self.0 == Visibility::Public).to_sql(of, out)
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::BOOL
        }

        to_sql_checked!();
    }

    impl FromSql<'_> for Sql<Visibility> {
        fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
            let is_public = bool::from_sql(of, raw)?;
            Ok(Self(if is_public { Visibility::Public } else { Visibility::Private }))
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::BOOL
        }
    }

    /// Null for never.
    impl ToSql for Sql<Deadline> {
        fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
            match self.0 {
                Deadline::Never => Ok(IsNull::Yes),
                Deadline::At(end) => Sql(end).to_sql(of, out),
            }
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::INT8
        }

        to_sql_checked!();
    }

    impl FromSql<'_> for Sql<Deadline> {
        fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
            Sql::from_sql(of, raw).map(|Sql(end)| Self(Deadline::At(end)))
        }

        fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
            Ok(Self(Deadline::Never))
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::INT8
        }
    }

    impl ToSql for Sql<&Sealed> {
        fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
            self.0.as_bytes().to_sql(of, out)
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::BYTEA
        }

        to_sql_checked!();
    }

    impl FromSql<'_> for Sql<Sealed> {
        fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
            Ok(Self(Sealed::new(<&[u8]>::from_sql(of, raw)?)))
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::BYTEA
        }
    }

    impl ToSql for Sql<&PasswordHash> {
        fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
            put_text(self.0.expose(), out)
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::TEXT
        }

        to_sql_checked!();
    }

    impl FromSql<'_> for Sql<PasswordHash> {
        fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, BoxError> {
            Ok(Self(PasswordHash::new(&*unescaped(<&str>::from_sql(of, raw)?))))
        }

        fn accepts(of: &Type) -> bool {
            *of == Type::TEXT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(value: &dyn ToSql, of: &Type) -> Vec<u8> {
        let mut out = BytesMut::new();
        value.to_sql_checked(of, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn digests_stand_in_the_order_of_their_texts() {
        let mut digests: Vec<_> =
            (0..50u8).flat_map(|n| Algorithm::ALL.map(|algorithm| algorithm.digest(&[n]))).collect();
        digests.sort_by_key(ToString::to_string);
        assert!(digests.is_sorted_by_key(|digest| kept(&Sql(digest), &Type::BYTEA)));
        for digest in digests {
            let read = Sql::<Digest>::from_sql(&Type::BYTEA, &kept(&Sql(&digest), &Type::BYTEA)).unwrap();
            assert_eq!(read.0, digest);
        }
    }

    #[test]
    fn damaged_columns_are_refused() {
        for bytes in [&[][..], &[1], &[3; 33], &[1; 34], &[2; 33]] {
            assert!(Sql::<Digest>::from_sql(&Type::BYTEA, bytes).is_err(), "{bytes:?}");
        }
        assert!(Sql::<DateTime<Utc>>::from_sql(&Type::INT8, &i64::MAX.to_be_bytes()).is_err());
        assert!(Sql::<EventSeq>::from_sql(&Type::INT8, &(-1_i64).to_be_bytes()).is_err());
        assert!(Sql::<ReferenceKind>::from_sql(&Type::INT2, &3_i16.to_be_bytes()).is_err());
        assert!(Sql::<Tag>::from_sql(&Type::TEXT, b"-").is_err());
    }

    #[test]
    fn every_length_comes_back() {
        for length in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let kept = kept(&Sql(length), &Type::INT8);
            assert_eq!(Sql::<u64>::from_sql(&Type::INT8, &kept).unwrap().0, length);
        }
    }

    #[test]
    fn every_text_comes_back_and_stands_in_its_order() {
        let mut texts =
            ["", "a", "\0", "\u{1}", "\u{1}0", "\u{1}1", "\0\u{1}", "\u{1}\0", "a\0b", "\u{2}", "1\u{1}"];
        texts.sort_unstable();
        assert!(texts.is_sorted_by_key(|text| kept(&Sql(*text), &Type::TEXT)));
        for text in texts {
            let kept = kept(&Sql(text), &Type::TEXT);
            assert!(!kept.contains(&0));
            assert_eq!(Sql::<String>::from_sql(&Type::TEXT, &kept).unwrap().0, text);
        }
    }
}

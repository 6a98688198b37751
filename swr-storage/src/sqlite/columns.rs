//! How values stand in columns.

use chrono::{DateTime, Utc};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};

use swr_core::commit::{BlobLocation, RepositoryId, RightsVersion};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::manifest::ReferenceKind;
use swr_core::media_type::MediaType;
use swr_core::upload::UploadId;
use swr_core::{RepositoryName, Tag};

/// A value on its way into a column or out of one.
pub(super) struct Sql<T>(pub(super) T);

/// Text columns: the value is its text.
macro_rules! stands_as_text {
    ($($value:ty => $parse:expr),+ $(,)?) => {$(
        impl ToSql for Sql<&$value> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0.as_str()))
            }
        }

        impl FromSql for Sql<$value> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                $parse(value.as_str()?).map(Self).map_err(FromSqlError::other)
            }
        }
    )+};
}

stands_as_text! {
    RepositoryName => RepositoryName::parse,
    Tag => Tag::parse,
    MediaType => MediaType::parse,
    UploadId => UploadId::parse,
    BlobLocation => |text: &str| Ok::<_, std::convert::Infallible>(BlobLocation::new(text)),
}

/// The byte in front of a digest's hash, so that digests are ordered as their texts are.
const fn algorithm_byte(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

impl ToSql for Sql<&Digest> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let mut bytes = Vec::with_capacity(1 + self.0.as_bytes().len());
        bytes.push(algorithm_byte(self.0.algorithm()));
        bytes.extend_from_slice(self.0.as_bytes());
        Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
    }
}

impl FromSql for Sql<Digest> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let (first, hash) = value.as_blob()?.split_first().ok_or(FromSqlError::InvalidType)?;
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm_byte(*algorithm) == *first)
            .and_then(|algorithm| Digest::from_bytes(algorithm, hash))
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for Sql<DateTime<Utc>> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.timestamp_micros()))
    }
}

impl FromSql for Sql<DateTime<Utc>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(FromSqlError::OutOfRange(micros))
    }
}

impl ToSql for Sql<RepositoryId> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.0))
    }
}

impl FromSql for Sql<RepositoryId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(RepositoryId(value.as_i64()?)))
    }
}

/// No event has a greater place than an integer column holds.
impl ToSql for Sql<EventSeq> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::try_from(self.0.0).unwrap_or(i64::MAX)))
    }
}

impl FromSql for Sql<EventSeq> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let seq = value.as_i64()?;
        u64::try_from(seq).map(|seq| Self(EventSeq(seq))).map_err(|_| FromSqlError::OutOfRange(seq))
    }
}

/// Manifests first, so that what is a blob to somebody stands together.
impl ToSql for Sql<ReferenceKind> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self.0 {
            ReferenceKind::Manifest => 0,
            ReferenceKind::Blob => 1,
            ReferenceKind::ForeignBlob => 2,
        }))
    }
}

impl FromSql for Sql<RightsVersion> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let version = value.as_i64()?;
        u64::try_from(version)
            .map(|version| Self(RightsVersion(version)))
            .map_err(|_| FromSqlError::OutOfRange(version))
    }
}

/// Lengths keep their bits: a column's integer has a sign, and nothing compares them there.
impl ToSql for Sql<u64> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.cast_signed()))
    }
}

impl FromSql for Sql<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_i64()?.cast_unsigned()))
    }
}

/// The values of the control plane.
#[cfg(feature = "control")]
mod control {
    use chrono::{Datelike, NaiveDate};

    use swr_core::control::credential::{KeyId, Sealed};
    use swr_core::control::grant::GrantLevel;
    use swr_core::control::identity::{
        AccountId, AccountName, PasswordHash, ProjectId, Role, UserId, UserName,
    };
    use swr_core::control::organisation::OrganisationId;
    use swr_core::control::repository::{Category, Visibility};
    use swr_core::control::share::Deadline;
    use swr_core::control::trace::{Operation, TraceId};
    use swr_core::control::trigger::DeliveryId;
    use swr_core::ports::UsageKind;
    use swr_core::{OrganisationName, TriggerName};

    use super::*;

    stands_as_text! {
        AccountId => AccountId::parse,
        AccountName => AccountName::parse,
        DeliveryId => |text: &str| Ok::<_, std::convert::Infallible>(DeliveryId::new(text)),
        KeyId => KeyId::parse,
        OrganisationName => OrganisationName::parse,
        ProjectId => ProjectId::parse,
        TraceId => |text: &str| Ok::<_, std::convert::Infallible>(TraceId::new(text)),
        TriggerName => TriggerName::parse,
        UserId => UserId::parse,
        UserName => UserName::parse,
    }

    /// Columns whose value is one of a few: they have its name.
    macro_rules! stands_as_name {
        ($($value:ty => $name:ident, $parse:expr),+ $(,)?) => {$(
            impl ToSql for Sql<$value> {
                fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                    Ok(ToSqlOutput::from(self.0.$name()))
                }
            }

            impl FromSql for Sql<$value> {
                fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                    $parse(value.as_str()?).map(Self).ok_or(FromSqlError::InvalidType)
                }
            }
        )+};
    }

    stands_as_name! {
        Category => as_str, Category::parse,
        Operation => trace_name, Operation::parse,
        Role => as_str, Role::parse,
    }

    impl ToSql for Sql<Visibility> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(self.0 == Visibility::Public))
        }
    }

    impl FromSql for Sql<Visibility> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            let is_public = bool::column_result(value)?;
            Ok(Self(if is_public { Visibility::Public } else { Visibility::Private }))
        }
    }

    impl ToSql for Sql<UsageKind> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(match self.0 {
                UsageKind::Stored => 0,
                UsageKind::Pulled => 1,
            }))
        }
    }

    impl ToSql for Sql<NaiveDate> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(self.0.num_days_from_ce()))
        }
    }

    impl FromSql for Sql<NaiveDate> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            let day = i32::column_result(value)?;
            NaiveDate::from_num_days_from_ce_opt(day).map(Self).ok_or(FromSqlError::OutOfRange(day.into()))
        }
    }

    impl ToSql for Sql<GrantLevel> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(self.0.value()))
        }
    }

    impl FromSql for Sql<GrantLevel> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            let level = u8::column_result(value)?;
            GrantLevel::from_value(level).map(Self).ok_or(FromSqlError::OutOfRange(level.into()))
        }
    }

    impl ToSql for Sql<Deadline> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(match self.0 {
                Deadline::Never => ToSqlOutput::from(rusqlite::types::Null),
                Deadline::At(end) => ToSqlOutput::from(end.timestamp_micros()),
            })
        }
    }

    impl FromSql for Sql<Deadline> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            match value {
                ValueRef::Null => Ok(Self(Deadline::Never)),
                end => Sql::column_result(end).map(|Sql(end)| Self(Deadline::At(end))),
            }
        }
    }

    impl FromSql for Sql<OrganisationId> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            Ok(Self(OrganisationId(value.as_i64()?)))
        }
    }

    impl ToSql for Sql<&Sealed> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(self.0.as_bytes()))
        }
    }

    impl FromSql for Sql<Sealed> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            Ok(Self(Sealed::new(value.as_blob()?)))
        }
    }

    impl ToSql for Sql<&PasswordHash> {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(ToSqlOutput::from(self.0.expose()))
        }
    }

    impl FromSql for Sql<PasswordHash> {
        fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
            Ok(Self(PasswordHash::new(value.as_str()?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(digest: &Digest) -> Vec<u8> {
        match Sql(digest).to_sql().unwrap() {
            ToSqlOutput::Owned(Value::Blob(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn digests_stand_in_the_order_of_their_texts() {
        let mut digests: Vec<_> =
            (0..50u8).flat_map(|n| Algorithm::ALL.map(|algorithm| algorithm.digest(&[n]))).collect();
        digests.sort_by_key(ToString::to_string);
        assert!(digests.is_sorted_by_key(kept));
        for digest in digests {
            let read = Sql::<Digest>::column_result(ValueRef::Blob(&kept(&digest))).unwrap();
            assert_eq!(read.0, digest);
        }
    }

    #[test]
    fn damaged_columns_are_refused() {
        for bytes in [&[][..], &[1], &[3; 33], &[1; 34], &[2; 33]] {
            assert!(Sql::<Digest>::column_result(ValueRef::Blob(bytes)).is_err(), "{bytes:?}");
        }
        assert!(Sql::<DateTime<Utc>>::column_result(ValueRef::Integer(i64::MAX)).is_err());
        assert!(Sql::<EventSeq>::column_result(ValueRef::Integer(-1)).is_err());
        assert!(Sql::<Tag>::column_result(ValueRef::Text(b"-")).is_err());
        assert!(Sql::<RepositoryName>::column_result(ValueRef::Integer(1)).is_err());
    }

    #[test]
    fn every_length_comes_back() {
        for length in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let ToSqlOutput::Owned(Value::Integer(kept)) = Sql(length).to_sql().unwrap() else { panic!() };
            assert_eq!(Sql::<u64>::column_result(ValueRef::Integer(kept)).unwrap().0, length);
        }
    }
}

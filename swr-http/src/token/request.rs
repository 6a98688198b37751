//! What a token is asked for: the query or the form of the token protocol. Pure.

use swr_auth::{Scope, Secret, TokenAsk};

use crate::endpoint::decoded;

/// How many scopes one token is asked for at most. More would not fit into the header that it is sent in.
const SCOPES_MAX: usize = 64;

/// What a token is asked for.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is taken apart where the token is made")]
pub struct TokenRequest {
    /// The token, without the rights that this registry does not know.
    pub ask: TokenAsk,
    /// What the client shows in the request itself; where it is `None`, that is in the headers.
    pub grant: Option<TokenGrant>,
}

/// What a form shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum TokenGrant {
    /// A name and a password.
    Password {
        /// The name.
        user: Box<str>,
        /// The password.
        password: Secret,
    },
    /// A refresh token.
    Refresh(Secret),
}

impl TokenRequest {
    /// Reads the query of a `GET`. Keys that mean nothing here are passed over.
    pub fn of_query(query: &str) -> Result<Self, TokenRequestError> {
        let fields = Fields::parse(query)?;
        let offline = fields.one("offline_token")?.is_some_and(|wanted| matches!(wanted, "true" | "1"));
        Ok(Self { ask: fields.ask(offline)?, grant: None })
    }

    /// Reads the form of a `POST`.
    pub fn of_form(form: &str) -> Result<Self, TokenRequestError> {
        let fields = Fields::parse(form)?;
        let wanted = |key| fields.one(key)?.ok_or(TokenRequestError::Missing(key));
        let grant = match wanted("grant_type")? {
            "password" => TokenGrant::Password {
                user: wanted("username")?.into(),
                password: Secret::new(wanted("password")?),
            },
            "refresh_token" => TokenGrant::Refresh(Secret::new(wanted("refresh_token")?)),
            _ => return Err(TokenRequestError::Grant),
        };
        let offline = fields.one("access_type")? == Some("offline");
        Ok(Self { ask: fields.ask(offline)?, grant: Some(grant) })
    }
}

/// The fields of a form, in which a blank is written as a plus sign.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(text: &str) -> Result<Self, TokenRequestError> {
        let blanks = text.replace('+', " ");
        let pairs = blanks.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(key)?.into_owned(), decoded(value)?.into_owned()))
        });
        pairs.collect::<Option<_>>().map(Self).ok_or(TokenRequestError::Encoding)
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == key).map(|(_, value)| &**value)
    }

    fn one(&self, key: &'static str) -> Result<Option<&str>, TokenRequestError> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(TokenRequestError::Repeated(key)),
        }
    }

    fn ask(&self, offline: bool) -> Result<TokenAsk, TokenRequestError> {
        Ok(TokenAsk { service: self.one("service")?.map(Into::into), scopes: self.scopes()?, offline })
    }

    /// Clients name several scopes in several fields, in one with blanks between them, or both.
    fn scopes(&self) -> Result<Vec<Scope>, TokenRequestError> {
        let mut scopes = Vec::new();
        for (at, text) in self.all("scope").flat_map(|scopes| scopes.split(' ')).enumerate() {
            if at >= SCOPES_MAX {
                return Err(TokenRequestError::TooMany);
            }
            // Fewer rights than were asked for are no error.
            scopes.extend(Scope::parse(text));
        }
        Ok(scopes)
    }
}

/// Why no token can be made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRequestError {
    /// The percent-encoding is broken, or hides what is no UTF-8.
    #[error("the fields are not percent-encoded UTF-8")]
    Encoding,
    /// A field comes twice.
    #[error("`{0}` is given more than once")]
    Repeated(&'static str),
    /// A field is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Something else is shown than what is known here.
    #[error("`grant_type` is `password` or `refresh_token`")]
    Grant,
    /// More scopes than a token lists.
    #[error("a token is asked for at most {SCOPES_MAX} scopes")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    #[test]
    fn several_scopes_are_asked_for_in_any_of_the_ways_that_clients_have() {
        let expected = scopes(&["repository:a/b:pull,push", "repository:c/d:pull"]);
        for query in [
            "service=r&scope=repository:a/b:pull,push&scope=repository:c/d:pull",
            "service=r&scope=repository%3Aa%2Fb%3Apull%2Cpush+repository%3Ac%2Fd%3Apull",
            "scope=repository:a/b:pull,push%20repository:c/d:pull&service=r&client_id=x&account=y",
            "service=r&scope=repository:a/b:push,pull&scope=image:x:pull&scope=repository:c/d:pull&scope=",
        ] {
            let TokenRequest { ask, grant } = TokenRequest::of_query(query).unwrap();
            assert_eq!(ask.scopes, expected, "{query}");
            assert_eq!((ask.service.as_deref(), ask.offline, grant), (Some("r"), false, None), "{query}");
        }
        let nothing = TokenRequest::of_query("").unwrap().ask;
        assert_eq!((nothing.service, nothing.scopes, nothing.offline), (None, vec![], false));
        assert!(TokenRequest::of_query("offline_token=true").unwrap().ask.offline);
    }

    #[test]
    fn a_form_shows_a_password_or_a_refresh_token() {
        let request = TokenRequest::of_form(
            "grant_type=password&username=cn%40AK&password=a%2Bb+c&service=r&client_id=x&access_type=offline\
             &scope=repository:a/b:pull",
        );
        let request = request.unwrap();
        let grant = TokenGrant::Password { user: "cn@AK".into(), password: Secret::new("a+b c") };
        assert_eq!(request.grant, Some(grant));
        assert!(request.ask.offline);
        assert_eq!(request.ask.scopes, scopes(&["repository:a/b:pull"]));
        let request = TokenRequest::of_form("grant_type=refresh_token&refresh_token=abc&service=r").unwrap();
        assert_eq!(request.grant, Some(TokenGrant::Refresh(Secret::new("abc"))));
        assert!(!request.ask.offline);
    }

    #[test]
    fn what_makes_no_sense_is_refused_for_what_it_is() {
        use TokenRequestError::*;
        for (form, expected) in [
            ("", Missing("grant_type")),
            ("grant_type=password&username=a", Missing("password")),
            ("grant_type=password&password=a", Missing("username")),
            ("grant_type=refresh_token", Missing("refresh_token")),
            ("grant_type=authorization_code&code=x", Grant),
            ("grant_type=password&username=a&username=b&password=c", Repeated("username")),
            ("grant_type=password&username=%ff&password=c", Encoding),
        ] {
            assert_eq!(TokenRequest::of_form(form).unwrap_err(), expected, "{form}");
        }
        assert_eq!(TokenRequest::of_query("service=a&service=b").unwrap_err(), Repeated("service"));
        assert_eq!(TokenRequest::of_query("scope=%2").unwrap_err(), Encoding);
        let many = "scope=repository:a:pull&".repeat(65);
        assert_eq!(TokenRequest::of_query(&many).unwrap_err(), TooMany);
        let long = format!("scope={}", "a+".repeat(100_000));
        assert_eq!(TokenRequest::of_query(&long).unwrap_err(), TooMany);
    }
}

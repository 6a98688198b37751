//! Telling an address of a version: a CloudEvent, signed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use tracing::{instrument, warn};

use swr_auth::Secret;
use swr_core::control::credential::Sealed;
use swr_core::control::trigger::{Delivery, Trigger, TriggerTarget};
use swr_core::ports::{ActionError, Clock, SystemClock, TriggerAction};

use super::outbound::{Outbound, OutboundError, OutboundOptions};

/// The media type of a CloudEvent whose attributes stand in its body.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Opens the secret of a trigger, which was sealed when the trigger was made.
pub type Opener = dyn Fn(&Trigger, &Sealed) -> Result<Secret, Box<dyn Error + Send + Sync>> + Send + Sync;

/// Tells an address of the version that fired a trigger.
///
/// What is sent is a CloudEvent 1.0 in JSON, of the type `io.swr.trigger.fired`, whose id is that of the delivery:
/// who gets the same id again has been told already. Where the trigger has a secret, the message is signed as
/// *Standard Webhooks* says: `webhook-signature` is `v1,` and the Base64 of HMAC-SHA256 over
/// `{webhook-id}.{webhook-timestamp}.{body}`. The key is the secret's bytes, or for a secret that begins with
/// `whsec_`, what the rest of it is as Base64.
///
/// A status that begins with 2 is delivery. One that begins with 4 is final, apart from 408, 425 and 429; anything
/// else is tried again. Redirects are not followed. Of an answer, nothing but the status is kept, and the first 200
/// characters of a refusal.
#[derive(Clone)]
pub struct Webhook {
    outbound: Outbound,
    host: Box<str>,
    opener: Arc<Opener>,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// Tells of images of `host`, the address of this registry as clients write it in front of a repository.
    pub fn new(host: &str, opener: Arc<Opener>, options: OutboundOptions) -> Result<Self, OutboundError> {
        let outbound = Outbound::new(options)?;
        Ok(Self { outbound, host: host.into(), opener, clock: Arc::new(SystemClock) })
    }

    /// Takes the time of a message from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn body(&self, trigger: &Trigger, delivery: &Delivery) -> String {
        let (host, repository, tag) = (&self.host, &trigger.repository, &delivery.tag);
        let data = json!({
            "trigger": trigger.name.as_str(),
            "repository": repository.as_str(),
            "tag": tag.as_str(),
            "digest": delivery.digest.to_string(),
            "image": format!("{host}/{repository}:{tag}"),
        });
        let event = Happening {
            id: delivery.id.as_str(),
            source: format!("oci://{host}/{repository}"),
            kind: "io.swr.trigger.fired",
            subject: Some(tag.as_str()),
            at: delivery.at,
            data,
        };
        event.into_json().to_string()
    }
}

#[async_trait]
impl TriggerAction for Webhook {
    #[instrument(level = "debug", skip_all, fields(repository = %trigger.repository, delivery = ?delivery.id))]
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        let TriggerTarget::Webhook { url, secret } = &trigger.target else {
            return Err(ActionError::Impossible("the trigger has no address to tell".to_owned()));
        };
        let body = self.body(trigger, delivery);
        let secret = match secret {
            Some(sealed) => Some((self.opener)(trigger, sealed).map_err(|error| {
                warn!(repository = %trigger.repository, trigger = %trigger.name, error, "a secret stays sealed");
                ActionError::Failed("the secret of the trigger cannot be opened".to_owned())
            })?),
            None => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CLOUD_EVENT));
        sign(&mut headers, secret.as_ref(), delivery.id.as_str(), self.clock.now(), &body)?;
        let status = self.outbound.post(url, headers, body).await?;
        Ok(format!("answered {}", status.as_u16()))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host).finish_non_exhaustive()
    }
}

/// What a CloudEvent says.
pub(super) struct Happening<'a> {
    pub(super) id: &'a str,
    pub(super) source: String,
    pub(super) kind: &'static str,
    pub(super) subject: Option<&'a str>,
    pub(super) at: DateTime<Utc>,
    pub(super) data: Value,
}

impl Happening<'_> {
    pub(super) fn into_json(self) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.kind,
            "time": time(self.at),
            "datacontenttype": "application/json",
            "data": self.data,
        });
        if let Some(subject) = self.subject {
            event["subject"] = subject.into();
        }
        event
    }
}

/// A time as RFC 3339 has it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Says in the headers which message it is and when it was sent, and signs both with the body if there is a secret.
pub(super) fn sign(
    headers: &mut HeaderMap,
    secret: Option<&Secret>,
    id: &str,
    now: DateTime<Utc>,
    body: &str,
) -> Result<(), ActionError> {
    let impossible = |why: &str| ActionError::Impossible(why.to_owned());
    let timestamp = now.timestamp();
    let as_header = HeaderValue::from_str(id).map_err(|_| impossible("the id cannot be sent"))?;
    headers.insert(WEBHOOK_ID, as_header);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    let Some(secret) = secret else { return Ok(()) };
    let key = match secret.expose().strip_prefix("whsec_") {
        Some(encoded) => BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| impossible("the secret begins with `whsec_` and does not go on in Base64"))?,
        None => secret.expose().as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| impossible("the secret cannot sign"))?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    let signature = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    let as_header =
        HeaderValue::from_str(&signature).map_err(|_| impossible("the signature cannot be sent"))?;
    headers.insert(WEBHOOK_SIGNATURE, as_header);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(secret: &str, id: &str, seconds: i64, body: &str) -> Result<String, ActionError> {
        let mut headers = HeaderMap::new();
        let now = DateTime::from_timestamp(seconds, 0).unwrap();
        sign(&mut headers, Some(&Secret::new(secret)), id, now, body)?;
        assert_eq!(headers["webhook-id"], id);
        assert_eq!(headers["webhook-timestamp"], seconds.to_string());
        Ok(headers["webhook-signature"].to_str().unwrap().to_owned())
    }

    /// Each from `printf '%s.%s.%s' ID TIMESTAMP BODY | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY -binary`.
    #[test]
    fn a_signature_is_that_of_the_id_the_time_and_the_body() {
        for (secret, id, seconds, body, signed) in VECTORS {
            assert_eq!(signature(secret, id, seconds, body).unwrap(), signed);
        }
    }

    const VECTORS: [(&str, &str, i64, &str, &str); 2] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "open sesame",
            "6b1c0a9e-1111-4222-8333-444455556666",
            1_798_761_600,
            r#"{"a":"ü"}"#,
            "v1,YvO26AhhE5Yy4bp4tmcm83Fukz0Z05YiAGDkxWHzEfw=",
        ),
    ];

    #[test]
    fn a_secret_that_is_not_what_it_says_signs_nothing() {
        let error = signature("whsec_%%%", "id", 0, "").unwrap_err();
        assert!(matches!(error, ActionError::Impossible(_)), "{error}");
        assert!(!error.to_string().contains("%%%"), "{error}");
    }
}

//! Entra's refusals: AADSTS number, OAuth error, HTTP status, and the JSON body they come in. Wording follows Entra's, as far as clients show it.

use std::time::SystemTime;

use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// Why a token request was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// RFC 6749 §5.2; the only field that a client may branch on.
    pub(crate) error: &'static str,
    /// The number after `AADSTS`.
    pub(crate) code: u32,
    pub(crate) text: String,
}

const FEDERATION: &str = "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. \
     https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

const CERTIFICATES: &str =
    "Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.";

impl Refusal {
    fn bad_request(error: &'static str, code: u32, text: String) -> Self {
        Refusal { status: StatusCode::BAD_REQUEST, error, code, text }
    }

    fn invalid_client(code: u32, text: String) -> Self {
        Refusal { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code, text }
    }

    pub(super) fn tenant_unknown(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud."
        );
        Self::bad_request("invalid_request", 90_002, text)
    }

    pub(super) fn parameter_missing(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self::bad_request("invalid_request", 900_144, text)
    }

    pub(super) fn grant_unsupported(grant: &str) -> Self {
        let text = format!("The app requested an unsupported grant type '{grant}'.");
        Self::bad_request("unsupported_grant_type", 70_003, text)
    }

    pub(super) fn client_unknown(client: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the \
             application has not been installed by the administrator of the tenant."
        );
        Self::bad_request("unauthorized_client", 700_016, text)
    }

    pub(super) fn scope_malformed(scope: &str) -> Self {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        );
        Self::bad_request("invalid_scope", 1_002_012, text)
    }

    pub(super) fn resource_unknown(resource: &str, tenant: &str) -> Self {
        let text = format!("The resource principal named {resource} was not found in the tenant named {tenant}.");
        Self::bad_request("invalid_resource", 500_011, text)
    }

    pub(super) fn credential_missing() -> Self {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Self::invalid_client(7_000_218, text.to_owned())
    }

    pub(super) fn secret_wrong(client: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
             client secret ID, for a secret added to app '{client}'."
        );
        Self::invalid_client(7_000_215, text)
    }

    pub(super) fn secret_expired(client: &str) -> Self {
        let text = format!(
            "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your \
             app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: \
             https://aka.ms/certCreds."
        );
        Self::invalid_client(7_000_222, text)
    }

    pub(super) fn assertion_malformed() -> Self {
        Self::bad_request("invalid_request", 50_027, "JWT token is invalid or malformed.".to_owned())
    }

    pub(super) fn issuer_unreachable(issuer: &str) -> Self {
        let text = format!("Request to External OIDC endpoint {issuer}.well-known/openid-configuration failed.");
        Self::bad_request("invalid_request", 501_661, text)
    }

    pub(super) fn issuer_mismatch(issuer: &str) -> Self {
        let text = format!(
            "No matching federated identity record found for presented assertion issuer '{issuer}'. {FEDERATION}"
        );
        Self::invalid_client(700_211, text)
    }

    pub(super) fn audience_mismatch(audience: &str) -> Self {
        let text = format!(
            "No matching federated identity record found for presented assertion audience '{audience}'. {FEDERATION}"
        );
        Self::invalid_client(700_212, text)
    }

    pub(super) fn subject_mismatch(subject: &str) -> Self {
        let text = format!(
            "No matching federated identity record found for presented assertion subject '{subject}'. {FEDERATION}"
        );
        Self::invalid_client(700_213, text)
    }

    pub(super) fn subject_case_mismatch(subject: &str) -> Self {
        let text = format!(
            "No matching federated identity record found for presented assertion subject '{subject}'. The subject matches \
             with case-insensitive comparison, but not with case-sensitive comparison. {FEDERATION}"
        );
        Self::invalid_client(7_002_138, text)
    }

    pub(super) fn outside_validity(now: SystemTime, from: SystemTime, until: SystemTime) -> Self {
        let [now, from, until] = [now, from, until].map(humantime::format_rfc3339_micros);
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, \
             expiry time of assertion {until}."
        );
        Self::invalid_client(700_024, text)
    }

    pub(super) fn signature_invalid(reason: &str) -> Self {
        Self::invalid_client(700_027, format!("Client assertion failed signature validation. {reason}"))
    }

    pub(super) fn assertion_of_another_client() -> Self {
        let text =
            format!("Client assertion application identifier doesn't match 'client_id' parameter. {CERTIFICATES}");
        Self::invalid_client(700_021, text)
    }

    pub(super) fn assertion_audience_wrong() -> Self {
        let text = format!("Client assertion audience claim does not match Realm issuer. {CERTIFICATES}");
        Self::invalid_client(700_023, text)
    }

    pub(super) fn certificate_unnamed() -> Self {
        let text = "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified \
                    in token header.";
        Self::bad_request("invalid_request", 50_027, text.to_owned())
    }

    pub(super) fn certificate_unknown(thumbprint: &str, client: &str) -> Self {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The \
             key was not found., Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, Graph Explorer \
             or directly use MS Graph to see configured keys for app Id '{client}'.]"
        );
        Self::invalid_client(700_027, text)
    }

    pub(super) fn certificate_signature_invalid(thumbprint: &str) -> Self {
        let text = format!(
            "Client assertion contains an invalid signature. [Reason - The provided signature value did not match the expected \
             signature value., Thumbprint of key used by client: '{thumbprint}']"
        );
        Self::invalid_client(700_027, text)
    }

    pub(super) fn certificate_expired(thumbprint: &str) -> Self {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is expired on application. [Reason - The key used \
             is expired., Thumbprint of key used by client: '{thumbprint}']"
        );
        Self::invalid_client(700_027, text)
    }

    pub(crate) fn throttled() -> Self {
        let text =
            "The server has terminated the request because there are too many requests. Try again later.".to_owned();
        Refusal { status: StatusCode::TOO_MANY_REQUESTS, error: "temporarily_unavailable", code: 90_055, text }
    }

    pub(crate) fn server_error() -> Self {
        let text = "The service encountered an unexpected error. Please try again.".to_owned();
        Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", code: 90_041, text }
    }

    pub(crate) fn broken() -> Self {
        let text = "A transient error has occurred. Please try again.".to_owned();
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, error: "temporarily_unavailable", code: 90_033, text }
    }

    /// The JSON body, its parts separated by single spaces, as Entra has done since 2024.
    pub(crate) fn body(&self, authority: &str, now: SystemTime, trace: Uuid, correlation: Uuid) -> Value {
        let (code, text) = (self.code, &self.text);
        let timestamp = humantime::format_rfc3339_seconds(now).to_string().replace('T', " ");
        json!({
            "error": self.error,
            "error_description":
                format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("{authority}error?code={code}"),
        })
    }
}

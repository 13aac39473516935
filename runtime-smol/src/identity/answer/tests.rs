//! Recorded and documented answers, with the decision and the hint that each must give.

use super::Origin::{AppService, Arc, Entra, Imds, TokenProxy};
use super::Retry::{AtOnce, Late, Soon};
use super::*;
use crate::identity::http::pause;

/// Origin, status, `Retry-After`, body; then decision, least pause in seconds, code, and the hint's word.
type Row = (Origin, u16, &'static str, &'static str, Retry, u64, u32, &'static str);

/// A body from Entra, with the fields that it has had since 2024.
macro_rules! entra {
    ($error:literal, $code:literal, $text:literal) => {
        concat!(
            r#"{"error":""#,
            $error,
            r#"","error_description":"AADSTS"#,
            $code,
            ": ",
            $text,
            r#" Trace ID: 0a1b2c3d-0000-4000-8000-000000000001 Correlation ID: 0a1b2c3d-0000-4000-8000-000000000002 Timestamp: 2026-01-18 00:16:59Z","error_codes":["#,
            $code,
            r#"],"timestamp":"2026-01-18 00:16:59Z","trace_id":"0a1b2c3d-0000-4000-8000-000000000001","correlation_id":"0a1b2c3d-0000-4000-8000-000000000002","error_uri":"https://login.microsoftonline.com/error?code="#,
            $code,
            r#""}"#
        )
    };
}

const GATEWAY: &str =
    "<html><head><title>503</title></head><body>Our services aren't available right now</body></html>";
const LOGIN: &str = "<!DOCTYPE html><html><body>Please log in to use this network</body></html>";

#[rustfmt::skip]
const ANSWERS: &[Row] = &[
    // Workload identity federation.
    (Entra, 401, "", entra!("invalid_client", "700213", "No matching federated identity record found for presented assertion subject 'system:serviceaccount:a:b'."), Soon, 0, 700_213, "federated-subject"),
    (Entra, 401, "", entra!("invalid_client", "700211", "No matching federated identity record found for presented assertion issuer 'https://i/'."), Soon, 0, 700_211, "federated-issuer"),
    (Entra, 401, "", entra!("invalid_client", "700212", "No matching federated identity record found for presented assertion audience 'api://x'."), Soon, 0, 700_212, "federated-audience"),
    (Entra, 401, "", entra!("invalid_client", "7002138", "The subject matches with case-insensitive comparison, but not with case-sensitive comparison."), Soon, 0, 7_002_138, "federated-subject-case"),
    (Entra, 401, "", entra!("invalid_client", "7002131", "No expression matched."), Soon, 0, 7_002_131, "federated-expression"),
    (Entra, 401, "", entra!("invalid_client", "7002381", "Enterprise claim policy."), Soon, 0, 7_002_381, "federation-policy"),
    (Entra, 401, "", entra!("invalid_client", "700222", "AAD-issued tokens may not be used for federated identity flows."), Soon, 0, 700_222, "assertion-of-entra"),
    // The general text of older answers, with its line breaks.
    (Entra, 400, "", "{\"error\":\"invalid_request\",\"error_description\":\"AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'https://i/'.\\r\\nTrace ID: t\\r\\nCorrelation ID: c\\r\\nTimestamp: 2023-03-01 00:00:00Z\",\"error_codes\":[70021]}", Soon, 0, 70_021, "federated-credential"),
    (Entra, 401, "", entra!("invalid_client", "700024", "Client assertion is not within its valid time range."), AtOnce, 0, 700_024, "assertion-outdated"),
    (TokenProxy, 401, "", entra!("invalid_client", "700024", "Client assertion is not within its valid time range."), AtOnce, 0, 700_024, "assertion-outdated"),
    (Entra, 401, "", entra!("invalid_client", "700027", "The certificate with identifier used to sign the client assertion is not registered on application."), Soon, 0, 700_027, "assertion-signature"),
    (Entra, 401, "", entra!("invalid_client", "7000272", "The certificate with identifier DFA184AB5E2B used to sign the federated credential could not be found in the metadata of identity provider https://i/."), Soon, 0, 7_000_272, "issuer-keys"),
    (Entra, 400, "", entra!("invalid_grant", "500133", "Assertion is not within its valid time range."), Late, 0, 500_133, "assertion-outdated"),
    (Entra, 400, "", entra!("invalid_request", "50027", "JWT token is invalid or malformed."), Soon, 0, 50_027, "assertion-malformed"),
    (Entra, 400, "", entra!("invalid_request", "90061", "Request to External OIDC endpoint failed."), Soon, 0, 90_061, "issuer-unreachable"),
    (Entra, 400, "", entra!("invalid_request", "501661", "Request to External OIDC endpoint failed with 404."), Soon, 0, 501_661, "issuer-unreachable"),
    // Client, tenant, cloud, resource.
    (Entra, 400, "", entra!("unauthorized_client", "700016", "Application with identifier was not found in the directory."), Soon, 0, 700_016, "client-unknown"),
    (Entra, 400, "", entra!("unauthorized_client", "700038", "00000000-0000-0000-0000-000000000000 is not a valid application identifier."), Soon, 0, 700_038, "client-unknown"),
    (Entra, 401, "", entra!("invalid_client", "7000229", "The client application x is missing service principal in the tenant."), Soon, 0, 7_000_229, "principal-missing"),
    (Entra, 400, "", entra!("unauthorized_client", "7000112", "Application is disabled."), Soon, 0, 7_000_112, "client-disabled"),
    (Entra, 400, "", entra!("invalid_request", "90002", "Tenant 'x' not found."), Soon, 0, 90_002, "tenant-unknown"),
    (Entra, 400, "", entra!("invalid_request", "900023", "Specified tenant identifier 'x' is neither a valid DNS name nor a valid external domain."), Soon, 0, 900_023, "tenant-unknown"),
    (Entra, 400, "", entra!("invalid_request", "50194", "Application 'x' is not configured as a multi-tenant application."), Soon, 0, 50_194, "tenant-shared"),
    (Entra, 400, "", entra!("invalid_request", "900439", "USGClientNotSupportedOnPublicEndpoint."), Soon, 0, 900_439, "cloud-mismatch"),
    (Entra, 400, "", entra!("invalid_resource", "500011", "The resource principal named https://monitor.azure.cn was not found in the tenant."), Soon, 0, 500_011, "resource-unknown"),
    (Entra, 400, "", entra!("invalid_scope", "1002012", "The provided value for scope is not valid."), Soon, 0, 1_002_012, "scope-malformed"),
    (Entra, 400, "", entra!("invalid_scope", "70011", "The provided value for the input parameter 'scope' is not valid."), Soon, 0, 70_011, "scope-malformed"),
    // Secrets and certificates.
    (Entra, 401, "", entra!("invalid_client", "7000215", "Invalid client secret provided."), Soon, 0, 7_000_215, "secret-wrong"),
    (Entra, 401, "", entra!("invalid_client", "7000222", "The provided client secret keys for app are expired."), Soon, 0, 7_000_222, "secret-expired"),
    (Entra, 401, "", entra!("invalid_client", "7000218", "The request body must contain 'client_assertion' or 'client_secret'."), Soon, 0, 7_000_218, "credential-missing"),
    (Entra, 400, "", entra!("invalid_grant", "53003", "Access has been blocked by Conditional Access policies."), Late, 0, 53_003, "conditional-access"),
    (Entra, 400, "", entra!("invalid_grant", "50196", "The server terminated an operation because it encountered a client request loop."), Late, 0, 50_196, "request-loop"),
    // Throttling and outages.
    (Entra, 429, "60", entra!("temporarily_unavailable", "90055", "The server terminated an operation because the tenant is throttled."), Late, 60, 90_055, "throttled"),
    (Entra, 429, "", "", Late, 0, 0, "throttled"),
    (Entra, 429, "soon", "{}", Late, 0, 0, "throttled"),
    (Entra, 503, "5", entra!("temporarily_unavailable", "90033", "A transient error has occurred. Please try again."), Soon, 5, 90_033, "entra-busy"),
    (Entra, 500, "", entra!("server_error", "90041", "Internal error."), Soon, 0, 90_041, "entra-busy"),
    (Entra, 503, "3600", entra!("temporarily_unavailable", "90033", "A transient error has occurred. Please try again."), Soon, 3600, 90_033, "entra-busy"),
    (Entra, 502, "", r#"{"error":"server_error"}"#, Soon, 0, 0, "entra-busy"),
    // An unknown number, and none at all.
    (Entra, 400, "", r#"{"error":"invalid_request","error_description":"AADSTS999999: New."}"#, Soon, 0, 999_999, ""),
    (Entra, 400, "", r#"{"error":"invalid_request"}"#, Soon, 0, 0, ""),
    (Entra, 400, "", r#"{"error":"invalid_client","error_description":"AADSTS700024: old","error_codes":["700024"]}"#, AtOnce, 0, 700_024, "assertion-outdated"),
    // A proxy or something else in between.
    (Entra, 503, "", GATEWAY, Soon, 0, 0, "foreign-answer"),
    (Entra, 503, "3600", GATEWAY, Soon, 60, 0, "foreign-answer"),
    (Entra, 503, "5", GATEWAY, Soon, 5, 0, "foreign-answer"),
    (Entra, 504, "", "", Soon, 0, 0, "foreign-answer"),
    (Entra, 429, "3600", LOGIN, Late, 60, 0, "throttled"),
    (Entra, 407, "", "<html>proxy</html>", Soon, 0, 0, "proxy-login"),
    (Entra, 403, "", LOGIN, Soon, 0, 0, "foreign-answer"),
    (Entra, 200, "", LOGIN, Soon, 0, 0, "foreign-answer"),
    (Entra, 302, "", "", Soon, 0, 0, "foreign-answer"),
    (Entra, 400, "", "\u{0}\u{1}\u{fffd}garbage", Soon, 0, 0, "foreign-answer"),
    (Entra, 200, "", r#"{"token_type":"Bearer","expires_in":0,"access_token":"t"}"#, Soon, 0, 0, "foreign-answer"),
    // The cluster's token proxy.
    (TokenProxy, 403, "", r#"{"message":"serviceaccount is not allowed to use the identity"}"#, Soon, 0, 0, "binding-refused"),
    (TokenProxy, 502, "", "", Soon, 0, 0, "foreign-answer"),
    (TokenProxy, 503, "", r#"{"error":"server_error"}"#, Soon, 0, 0, "entra-busy"),
    // The instance metadata service.
    (Imds, 400, "", r#"{"error":"invalid_request","error_description":"Identity not found"}"#, Soon, 0, 0, "identity-missing"),
    (Imds, 400, "", r#"{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}"#, Soon, 0, 0, "identity-ambiguous"),
    (Imds, 400, "", r#"{"error":"bad_request_102","error_description":"Required metadata header not specified"}"#, Soon, 0, 0, ""),
    (Imds, 400, "", r#"{"exceptionMessage":"AADSTS500011: The resource principal named x was not found in the tenant named y.","errorCode":"invalid_resource","statusCode":400,"correlationId":"c"}"#, Soon, 0, 500_011, "resource-unknown"),
    (Imds, 403, "", "A socket operation was attempted to an unreachable network.", Soon, 0, 0, "imds-unreachable"),
    (Imds, 404, "", r#"{"error":"not_found","error_description":"IMDS endpoint is updating"}"#, Soon, 2, 0, "imds-busy"),
    (Imds, 410, "", r#"{"error":"gone","error_description":"IMDS is going through updates"}"#, Soon, 2, 0, "imds-busy"),
    (Imds, 429, "", r#"{"error":"too_many_requests","error_description":"Too many requests"}"#, Soon, 2, 0, "throttled"),
    (Imds, 429, "7", "", Soon, 7, 0, "throttled"),
    (Imds, 500, "", r#"{"error":"unknown","error_description":"Failed to retrieve token from the Active directory. For details see logs in C:\\Packages"}"#, Soon, 2, 0, "imds-busy"),
    (Imds, 400, "", r#"{"exceptionMessage":"AADSTS700016: Application not found.","errorCode":"unauthorized_client"}"#, Soon, 0, 700_016, "identity-missing"),
    (Imds, 200, "", LOGIN, Soon, 0, 0, "local-answer"),
    // Azure Arc's agent.
    (Arc, 401, "", r#"{"error":"unauthorized","error_description":"Invalid or missing key"}"#, Soon, 0, 0, "arc-refused"),
    (Arc, 403, "", "", Soon, 0, 0, "arc-refused"),
    (Arc, 404, "", r#"{"error":"not_found","error_description":"Identity not found"}"#, Soon, 2, 0, "arc-refused"),
    (Arc, 429, "", "", Soon, 2, 0, "throttled"),
    (Arc, 500, "", r#"{"error":"internal","error_description":"agent is not connected"}"#, Soon, 2, 0, "arc-refused"),
    (Arc, 200, "", r#"{"access_token":"","expires_in":"84473","token_type":"Bearer"}"#, Soon, 0, 0, "local-answer"),
    // App Service and similar platforms.
    (AppService, 400, "", r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.","correlationId":"c"}"#, Soon, 0, 0, "app-service-identity"),
    (AppService, 401, "", r#"{"statusCode":401,"message":"X-IDENTITY-HEADER is missing or wrong","correlationId":"c"}"#, Soon, 0, 0, "app-service-header"),
    (AppService, 400, "", r#"{"error":{"code":"BadRequest","message":"The x-identity-header is not valid."}}"#, Soon, 0, 0, "app-service-header"),
    (AppService, 500, "", r#"{"statusCode":500,"message":"An unexpected error occurred while fetching the AAD Token.","correlationId":"c"}"#, Soon, 2, 0, "app-service-identity"),
    (AppService, 429, "", "{}", Soon, 2, 0, "throttled"),
    (AppService, 401, "", "", Soon, 0, 0, "local-answer"),
    (AppService, 200, "", LOGIN, Soon, 0, 0, "local-answer"),
    (AppService, 200, "", r#"{"access_token":"a","expires_on":"1600000000","token_type":"Bearer"}"#, Soon, 0, 0, "clock"),
    (AppService, 400, "", r#"{"error":{"code":"x","message":"AADSTS700016: nested"}}"#, Soon, 0, 700_016, "app-service-identity"),
];

fn answer(status: u16, retry_after: &str, body: &[u8]) -> Answer {
    Answer {
        status,
        retry_after: pause(retry_after, SystemTime::now()),
        body: body.to_vec().into(),
        ..Answer::default()
    }
}

fn refusal(origin: Origin, status: u16, retry_after: &str, body: &[u8]) -> Failure {
    let authority = Endpoint::parse("https://login.microsoftonline.com/").unwrap();
    decode(origin, Some(&authority), &answer(status, retry_after, body)).expect_err("a refusal").shortened()
}

#[test]
fn every_recorded_answer_gives_its_decision_and_its_hint() {
    assert!(ANSWERS.len() >= 60);
    for &(origin, status, retry_after, body, retry, least, code, word) in ANSWERS {
        let failure = refusal(origin, status, retry_after, body.as_bytes());
        let found = (
            failure.retry,
            failure.retry_after.unwrap_or_default().as_secs(),
            failure.code.unwrap_or_default(),
            failure.hint.map_or("", |hint| hint.word),
        );
        assert_eq!(found, (retry, least, code, word), "{origin:?} {status} {body}");
        assert_eq!(failure.status, Some(status));
        assert!(failure.to_string().len() < 1500, "{failure}");
    }
}

#[test]
fn every_hint_with_a_code_is_what_its_codes_give() {
    for hint in hint::ALL {
        for code in hint.codes {
            let body = format!(r#"{{"error":"x","error_description":"AADSTS{code}: y"}}"#);
            assert_eq!(refusal(Entra, 400, "", body.as_bytes()).hint, Some(hint), "{code}");
        }
    }
}

#[test]
fn the_successes_of_all_endpoints_are_grants() {
    for (origin, body, life) in [
        (Entra, r#"{"token_type":"Bearer","expires_in":86399,"ext_expires_in":86399,"access_token":"a"}"#, 86_399),
        (Entra, r#"{"token_type":"Bearer","expires_in":"3599","access_token":"a"}"#, 3599),
        (
            Imds,
            r#"{"access_token":"a","client_id":"c","expires_in":"84473","expires_on":"1639265125","ext_expires_in":"86399","not_before":"1639178425","resource":"https://x","token_type":"Bearer"}"#,
            84_473,
        ),
        (Arc, r#"{"access_token":"a","expires_in":"84473","expires_on":"1639265125","token_type":"Bearer"}"#, 84_473),
    ] {
        let grant = decode(origin, None, &answer(200, "", body.as_bytes())).unwrap();
        assert_eq!(grant.lifetime.as_secs(), life, "{body}");
    }
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 3600;
    let body = format!(r#"{{"access_token":"a","expires_on":"{soon}","resource":"r","token_type":"Bearer"}}"#);
    let life = decode(AppService, None, &answer(200, "", body.as_bytes())).unwrap().lifetime.as_secs();
    assert!((3590..=3600).contains(&life), "{life}");
}

#[test]
fn an_error_keeps_its_ids_and_leaves_them_out_of_its_text() {
    let body = entra!("invalid_client", "700213", "No match.");
    let failure = refusal(Entra, 401, "", body.as_bytes());
    assert_eq!(failure.message, "AADSTS700213: No match.");
    assert_eq!(failure.ticket.trace_id.as_deref(), Some("0a1b2c3d-0000-4000-8000-000000000001"));
    assert_eq!(failure.ticket.correlation_id.as_deref(), Some("0a1b2c3d-0000-4000-8000-000000000002"));
    assert_eq!(failure.error.as_deref(), Some("invalid_client"));
    assert_eq!(failure.ticket.timestamp.as_deref(), Some("2026-01-18 00:16:59Z"));
    assert_eq!(failure.ticket.error_uri.as_deref(), Some("https://login.microsoftonline.com/error?code=700213"));
    let nowhere = decode(Imds, None, &answer(401, "", body.as_bytes())).expect_err("a refusal");
    assert_eq!(nowhere.ticket.error_uri, None);
}

#[test]
fn foreign_text_in_an_answer_is_not_repeated() {
    for body in [GATEWAY, LOGIN, "plain text", r#"["AADSTS700213"]"#] {
        let failure = refusal(Entra, 400, "", body.as_bytes());
        assert_eq!(failure.message, "the 400 response is not from a token endpoint");
    }
}

#[test]
fn size_and_depth_of_a_body_do_no_harm() {
    let long = format!(r#"{{"error":"x","error_description":"{}"}}"#, "y ".repeat(500_000));
    assert!(refusal(Entra, 400, "", long.as_bytes()).message.len() <= 400);
    for body in [vec![b'['; 1 << 20], vec![b' '; 1 << 20], vec![0xFF; 1 << 20], [b"{\"a\":".repeat(9000)].concat()] {
        assert_eq!(refusal(Entra, 400, "", &body).hint, Some(&hint::FOREIGN_ANSWER));
    }
}

#[test]
fn an_endpoint_that_repeats_a_token_does_not_get_it_into_a_log() {
    let body = r#"{"error":"x","error_description":"bad: eyJhbGciOiJSUzI1NiJ9.e30.c2ln","trace_id":"eyJ<x>"}"#;
    let failure = refusal(Entra, 400, "", body.as_bytes());
    assert!(!format!("{failure} {failure:?}").contains("eyJ"), "{failure:?}");
}

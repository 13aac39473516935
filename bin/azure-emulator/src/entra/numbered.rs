//! Refusals that the emulator itself never has a reason for, by AADSTS number: the responses of the action `aadsts`.

use hyper::StatusCode;

use super::refusal::Refusal;

/// Number, status, OAuth error, text.
type Row = (u32, StatusCode, &'static str, &'static str);

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
const TRANSIENT: &str = "A transient error has occurred. Please try again.";
const ISSUER_FAILED: &str = "Request to External OIDC endpoint failed.";

const TABLE: [Row; 17] = [
    (50_001, BAD_REQUEST, "invalid_resource", "The resource principal was not found in the tenant."),
    (50_166, BAD_REQUEST, "invalid_request", ISSUER_FAILED),
    (
        50_196,
        BAD_REQUEST,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.",
    ),
    (
        53_003,
        BAD_REQUEST,
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    (
        70_021,
        BAD_REQUEST,
        "invalid_request",
        "No matching federated identity record found for presented assertion. Assertion Issuer: 'https://example/'. Assertion \
         Subject: 'system:serviceaccount:a:b'. Assertion Audience: 'api://AzureADTokenExchange'.",
    ),
    (90_006, UNAVAILABLE, "temporarily_unavailable", TRANSIENT),
    (90_012, UNAVAILABLE, "temporarily_unavailable", "The request has timed out."),
    (90_024, UNAVAILABLE, "temporarily_unavailable", TRANSIENT),
    (90_033, UNAVAILABLE, "temporarily_unavailable", TRANSIENT),
    (90_055, StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "There are too many requests. Try again later."),
    (90_061, BAD_REQUEST, "invalid_request", ISSUER_FAILED),
    (
        700_038,
        BAD_REQUEST,
        "unauthorized_client",
        "00000000-0000-0000-0000-000000000000 is not a valid application identifier.",
    ),
    (700_222, UNAUTHORIZED, "invalid_client", "AAD-issued tokens may not be used for federated identity flows."),
    (
        900_023,
        BAD_REQUEST,
        "invalid_request",
        "The tenant identifier is neither a valid DNS name, nor a valid external domain.",
    ),
    (900_382, BAD_REQUEST, "invalid_request", "Confidential Client is not supported in Cross Cloud request."),
    (7_000_112, BAD_REQUEST, "unauthorized_client", "The application is disabled."),
    (
        7_002_381,
        UNAUTHORIZED,
        "invalid_client",
        "The enterprise claim of the assertion does not match the tenant's policy.",
    ),
];

/// The refusal with this number, if it is in the table.
pub(crate) fn refusal(code: u32) -> Option<Refusal> {
    let (code, status, error, text) = *TABLE.iter().find(|(own, ..)| *own == code)?;
    Some(Refusal { status, error, code, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there_once_and_in_order() {
        assert!(TABLE.is_sorted_by(|(one, ..), (next, ..)| one < next));
        assert_eq!(refusal(50_196).unwrap().error, "invalid_grant");
        assert!(refusal(1).is_none());
    }
}

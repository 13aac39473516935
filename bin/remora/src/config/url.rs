//! Parses https URLs, with advice on invalid ones.

use remora_smol::endpoint::{Endpoint, EndpointError};

use super::fault::Reject;

/// An https URL, or its fault with the fix.
pub(crate) fn parse(text: &str) -> Result<Endpoint, Reject> {
    Endpoint::parse(text).map_err(|error| {
        let lacks_scheme = error == EndpointError::Malformed && Endpoint::parse(&format!("https://{text}")).is_ok();
        let error = if lacks_scheme { EndpointError::NotHttps } else { error };
        Reject::new(error.to_string(), fix(error))
    })
}

/// The fix for the fault.
pub(crate) fn fix(error: EndpointError) -> &'static str {
    match error {
        EndpointError::Malformed => {
            "copy the URL again, without quotes, spaces or <placeholders>; a shell needs quotes around it"
        }
        EndpointError::NotHttps => "start it with https://; plain http is never used, not even on loopback",
        EndpointError::NotHttp => "start it with http://; managed identity endpoints have no TLS",
        EndpointError::NotLocal => "use an address of this machine: 127.0.0.1, localhost or 169.254.x.x",
        EndpointError::Query => "remove the ? and everything after it",
        EndpointError::NoHost => "put the host name after https://",
        EndpointError::BadHost => "check the host name; an IPv6 address needs brackets",
        EndpointError::BadPort => "check the number after the host's colon, or omit both for 443",
        EndpointError::UserInfo => "remove everything before the @; only the token authenticates",
        EndpointError::Fragment => "remove the # and everything after it",
    }
}

//! What to do about a URL that is none.

use remora_smol::endpoint::{Endpoint, EndpointError};

use super::fault::Reject;

/// An https URL, or the fault in it with its repair.
pub(crate) fn parse(text: &str) -> Result<Endpoint, Reject> {
    Endpoint::parse(text).map_err(|error| Reject::new(error.to_string(), fix(error)))
}

/// What to do about the fault.
pub(crate) fn fix(error: EndpointError) -> &'static str {
    match error {
        EndpointError::Malformed => {
            "copy the URL again, without quotes, spaces or <placeholders>; a shell needs quotes around it"
        }
        EndpointError::NotHttps => "begin it with https://; plain http is never used, on loopback neither",
        EndpointError::NotHttp => "begin it with http://; the endpoints of managed identities have no TLS",
        EndpointError::NotLocal => "give an address of this machine: 127.0.0.1, localhost or 169.254.x.x",
        EndpointError::Query => "take out the ? and what follows it",
        EndpointError::NoHost => "put the host name behind https://",
        EndpointError::BadHost => "check the host name; an IPv6 address stands in brackets",
        EndpointError::BadPort => "check the number behind the host's colon, or leave both away for 443",
        EndpointError::UserInfo => "take out what stands before the @; the token is all that authenticates",
        EndpointError::Fragment => "take out the # and what follows it",
    }
}

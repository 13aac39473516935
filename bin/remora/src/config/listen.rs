//! The ports, and the networks that may write.

use std::net::IpAddr;

use ipnet::IpNet;
use remora_smol::config::Listen;

use super::fault::Reject;
use super::quantity;
use super::reader::Reader;
use super::settings::{ADMIN_PORT, ALLOWED_SOURCES, LISTENING_PORT, Setting};

/// Reads both ports and the networks.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Listen> {
    let port = read_port(reader, &LISTENING_PORT, quantity::port);
    let admin_port = read_port(reader, &ADMIN_PORT, |text| {
        let admin = quantity::port(text)?;
        if Some(admin) == port {
            return Err(Reject::new("is the same as LISTENING_PORT", "use another port, or unset it"));
        }
        Ok(admin)
    });
    let allowed_sources = reader.value(&ALLOWED_SOURCES, parse_networks).unwrap_or_default();
    if allowed_sources.iter().any(|network| network.prefix_len() == 0) {
        reader.warn(
            &ALLOWED_SOURCES,
            "lets everyone who can reach the port write with this identity; list only your own networks",
        );
    }
    Some(Listen { port: port?, admin_port, allowed_sources })
}

/// A port, unless Kubernetes set the variable: in a namespace with a Service `admin`, every container has an
/// `ADMIN_PORT` such as `tcp://10.0.0.1:80`.
fn read_port(
    reader: &mut Reader<'_>,
    setting: &Setting,
    parse: impl FnOnce(&str) -> Result<u16, Reject>,
) -> Option<u16> {
    let Some(link) = reader.given(setting).filter(|text| is_link(text)) else { return reader.value(setting, parse) };
    let odd = format!("is {link}, which Kubernetes sets for a Service of that name; it counts as unset");
    reader.warn(setting, odd);
    reader.preset(setting, parse)
}

/// Whether Kubernetes gives such a value to the `_PORT` variable of a Service.
pub(super) fn is_link(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, Reject> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(parse_network).collect()
}

/// `10.0.0.0/8`, or a single address. Peers are compared by their canonical addresses, so a network of IPv4 addresses in
/// IPv6's form is one of IPv4.
fn parse_network(text: &str) -> Result<IpNet, Reject> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| canonical(network.trunc())).map_err(|_| {
        let wrong = format!("contains {text:?}, which is neither a network nor an address");
        Reject::new(wrong, "separate networks by commas: 10.244.0.0/16,fd00::/8")
    })
}

fn canonical(network: IpNet) -> IpNet {
    let mapped = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), mapped) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            IpNet::new(address.into(), length).unwrap_or(network)
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_mapped_addresses_is_one_of_ipv4() {
        let networks = parse_networks("::ffff:10.1.0.0/104,::ffff:10.0.0.7,::/0").expect("valid");
        let shown: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "10.0.0.7/32", "::/0"]);
    }

    #[test]
    fn networks_and_single_addresses() {
        let networks = parse_networks("10.1.2.3/8, 192.0.2.7,fd00::1/64,").expect("valid");
        let shown: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "fd00::/64"]);
    }

    #[test]
    fn a_bad_network_is_named() {
        let reject = parse_networks("10.0.0.0/8,10.0.0.0/33").expect_err("bad prefix");
        assert!(reject.wrong.contains("\"10.0.0.0/33\""), "{}", reject.wrong);
        assert!(parse_networks("localhost").is_err());
    }
}

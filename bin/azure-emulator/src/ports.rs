//! The port of each endpoint, stored in the settings so that a restart uses the same ones.

use serde::{Deserialize, Serialize};

use crate::faults::EndpointName;

/// 0 until a port has been bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ports {
    pub(crate) issuer: u16,
    pub(crate) token: u16,
    pub(crate) ingest: u16,
    pub(crate) imds: u16,
    pub(crate) arc: u16,
    pub(crate) app_service: u16,
    pub(crate) identity_binding: u16,
    pub(crate) control: u16,
}

impl Ports {
    /// The port of one endpoint.
    pub(crate) fn of(&mut self, endpoint: EndpointName) -> &mut u16 {
        match endpoint {
            EndpointName::Issuer => &mut self.issuer,
            EndpointName::Token => &mut self.token,
            EndpointName::Ingest => &mut self.ingest,
            EndpointName::Imds => &mut self.imds,
            EndpointName::Arc => &mut self.arc,
            EndpointName::AppService => &mut self.app_service,
            EndpointName::IdentityBinding => &mut self.identity_binding,
        }
    }

    /// Each port of `wanted` that is given, otherwise the existing one.
    pub(crate) fn overridden_by(mut self, mut wanted: Ports) -> Ports {
        let choose = |own: &mut u16, wanted: u16| {
            if wanted != 0 {
                *own = wanted;
            }
        };
        for endpoint in EndpointName::ALL {
            choose(self.of(endpoint), *wanted.of(endpoint));
        }
        choose(&mut self.control, wanted.control);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_not_given_stays() {
        let own = Ports { imds: 1, arc: 2, control: 3, ..Ports::default() };
        let merged = own.overridden_by(Ports { arc: 9, control: 8, ..Ports::default() });
        assert_eq!(merged, Ports { imds: 1, arc: 9, control: 8, ..Ports::default() });
    }
}

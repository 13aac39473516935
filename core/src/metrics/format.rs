//! Which of the two text formats a scraper gets, negotiated from `Accept` (RFC 9110 §12.5.1).

use crate::http::digits;

/// A format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// "Text-based format" of the Prometheus documentation, version 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

/// The media range and parameters of one member of `Accept`.
struct Range<'a> {
    media: &'a [u8],
    version: &'a [u8],
    /// Thousandths.
    quality: u64,
}

impl Format {
    /// The value of `Content-Type`. Prometheus 3 refuses a page whose type it does not know.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format for a scraper that accepts these members. `OpenMetrics` must be named, with a quality no lower than
    /// that of text.
    pub fn negotiate(accept: impl Iterator<Item: AsRef<[u8]>>) -> Self {
        let (mut text, mut open) = (0, 0);
        for member in accept {
            let range = Range::decode(member.as_ref());
            if range.is(b"application/openmetrics-text", b"1.0.0") {
                open = range.quality.max(open);
            } else if range.is(b"text/plain", b"0.0.4") || matches!(range.media, b"text/*" | b"*/*") {
                text = range.quality.max(text);
            }
        }
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

impl<'a> Range<'a> {
    fn decode(member: &'a [u8]) -> Self {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let mut range = Self { media: parts.next().unwrap_or_default(), version: b"", quality: 1000 };
        for parameter in parts {
            if let Some(version) = value(parameter, b"version=") {
                range.version = version;
            } else if let Some(quality) = value(parameter, b"q=") {
                range.quality = thousandths(quality);
            }
        }
        range
    }

    fn is(&self, media: &[u8], version: &[u8]) -> bool {
        self.media.eq_ignore_ascii_case(media) && (self.version.is_empty() || self.version == version)
    }
}

/// The part after `name`, which is case-insensitive.
fn value<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = parameter.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(value)
}

/// `1`, `0.5` or `0.625` (RFC 9110 §12.4.2) in thousandths; 0, not acceptable, for anything else.
fn thousandths(quality: &[u8]) -> u64 {
    let (whole, part) = match quality.split_at_checked(1) {
        Some((whole, [])) => (whole, &[][..]),
        Some((whole, [b'.', part @ ..])) if part.len() <= 3 => (whole, part),
        _ => return 0,
    };
    let mut padded = *b"000";
    padded.iter_mut().zip(part).for_each(|(to, &digit)| *to = digit);
    let sum = |whole: u64, part: u64| whole.saturating_mul(1000).saturating_add(part).min(1000);
    digits::decimal(whole).zip(digits::decimal(&padded)).map_or(0, |(whole, part)| sum(whole, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Format {
        Format::negotiate(accept.split(',').map(|member| member.trim().as_bytes()).filter(|member| !member.is_empty()))
    }

    #[test]
    fn what_scrapers_send() {
        for (accept, format) in [
            // Prometheus 2.42, 3.4, 3.4 with protobuf first, vmagent, curl, a browser, nothing.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(chosen(accept), format, "{accept}");
        }
    }

    #[test]
    fn quality_decides() {
        for (accept, format) in [
            ("application/openmetrics-text; Q=0.2, text/plain; q=0.3", Format::Text),
            ("Application/OpenMetrics-Text;q=0.301 , text/plain; q=0.3", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::OpenMetrics),
            ("application/openmetrics-text;q=+1", Format::Text),
            ("application/openmetrics-text;q=0.1234", Format::Text),
            ("application/openmetrics-text;q=", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0", Format::OpenMetrics),
        ] {
            assert_eq!(chosen(accept), format, "{accept}");
        }
    }
}

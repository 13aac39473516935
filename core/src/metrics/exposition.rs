//! A page of metrics as text, in either format, written piece by piece to any [`Write`].

use core::fmt::{self, Write};

use super::{Family, Format, Histogram, Kind, Sink, Value};

/// A page being written. The first write error is kept and returned by [`Exposition::finish`].
///
/// `_created` series, which are optional in `OpenMetrics`, would double the page and are left out: every counter begins
/// with the process.
#[derive(Debug)]
pub struct Exposition<W> {
    out: W,
    format: Format,
    outcome: fmt::Result,
}

impl<W: Write> Exposition<W> {
    /// An empty page.
    pub const fn new(format: Format, out: W) -> Self {
        Self { out, format, outcome: Ok(()) }
    }

    /// Ends the page.
    pub fn finish(mut self) -> fmt::Result {
        if self.format == Format::OpenMetrics {
            self.put(format_args!("# EOF\n"));
        }
        self.outcome
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        if self.outcome.is_ok() {
            self.outcome = self.out.write_fmt(text);
        }
    }

    /// The lines above the first sample. `OpenMetrics` names the family without the suffix of its samples.
    fn describe(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = *family;
        match self.format {
            Format::Text => {
                let kind = if kind == Kind::Info { Kind::Gauge } else { kind };
                self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
            }
            Format::OpenMetrics => {
                let base = base(family);
                self.put(format_args!("# TYPE {base} {}\n", kind.word()));
                if let Some(unit) = unit(base) {
                    self.put(format_args!("# UNIT {base} {unit}\n"));
                }
                self.put(format_args!("# HELP {base} {help}\n"));
            }
        }
    }
}

impl<W: Write> Sink for Exposition<W> {
    fn values(&mut self, family: &Family, values: &mut dyn Iterator<Item = Value>) {
        self.describe(family);
        let Family { name, label, .. } = *family;
        if label.is_empty() {
            values.take(1).for_each(|value| self.put(format_args!("{name} {value}\n")));
        } else {
            for (of, value) in family.values.iter().zip(values) {
                self.put(format_args!("{name}{{{label}=\"{of}\"}} {value}\n"));
            }
        }
    }

    fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        self.describe(family);
        let (name, count) = (family.name, histogram.count());
        for (bound, count) in histogram.cumulative() {
            self.put(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}\n"));
        }
        let sum = Value::Milli(histogram.sum_ms());
        self.put(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n"));
    }

    fn info(&mut self, family: &Family, labels: &[(&str, &str)]) {
        self.describe(family);
        self.put(format_args!("{}{{", family.name));
        let mut comma = "";
        for (label, value) in labels {
            self.put(format_args!("{comma}{label}=\"{}\"", Escaped(value)));
            comma = ",";
        }
        self.put(format_args!("}} 1\n"));
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Milli(value) => write!(f, "{}.{:03}", value / 1000, value % 1000),
        }
    }
}

/// A label value, escaped as both formats require.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(c),
        })
    }
}

/// The name of a family in `OpenMetrics`.
fn base(family: &Family) -> &'static str {
    let suffix = match family.kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    };
    family.name.strip_suffix(suffix).unwrap_or(family.name)
}

/// The unit that a name ends in.
fn unit(base: &str) -> Option<&'static str> {
    ["seconds", "bytes"].into_iter().find(|unit| base.ends_with(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::CounterSet;
    use core::time::Duration;

    const WRITES: Family = Family::new(Kind::Counter, "x_writes_total", "Writes.").by("code", &["200", "other"]);
    const AGE: Family = Family::new(Kind::Gauge, "x_age_seconds", "Age.");
    const TOOK: Family = Family::new(Kind::Histogram, "x_took_seconds", "Time.");
    const BUILD: Family = Family::new(Kind::Info, "x_build_info", "Build.");

    fn page(format: Format) -> heapless::String<2048> {
        let (writes, took) = (CounterSet::<2>::new(), Histogram::new());
        writes.add(1, 7);
        writes.add(2, 1);
        took.observe(Duration::from_millis(2600));
        let mut text = heapless::String::new();
        let mut page = Exposition::new(format, &mut text);
        page.info(&BUILD, &[("version", "1\\\"\n"), ("tls", "é")]);
        writes.series().report(&WRITES, &mut page);
        page.values(&AGE, &mut [Value::Milli(61_005), Value::Whole(1)].into_iter());
        page.histogram(&TOOK, &took);
        page.finish().unwrap();
        text
    }

    #[test]
    fn text() {
        assert_eq!(
            page(Format::Text),
            "# HELP x_build_info Build.\n# TYPE x_build_info gauge\nx_build_info{version=\"1\\\\\\\"\\n\",tls=\"é\"} 1\n\
             # HELP x_writes_total Writes.\n# TYPE x_writes_total counter\nx_writes_total{code=\"200\"} 0\n\
             x_writes_total{code=\"other\"} 7\n# HELP x_age_seconds Age.\n# TYPE x_age_seconds gauge\nx_age_seconds 61.005\n\
             # HELP x_took_seconds Time.\n# TYPE x_took_seconds histogram\nx_took_seconds_bucket{le=\"0.005\"} 0\n\
             x_took_seconds_bucket{le=\"0.01\"} 0\nx_took_seconds_bucket{le=\"0.025\"} 0\n\
             x_took_seconds_bucket{le=\"0.05\"} 0\nx_took_seconds_bucket{le=\"0.1\"} 0\n\
             x_took_seconds_bucket{le=\"0.25\"} 0\nx_took_seconds_bucket{le=\"0.5\"} 0\n\
             x_took_seconds_bucket{le=\"1.0\"} 0\nx_took_seconds_bucket{le=\"2.5\"} 0\n\
             x_took_seconds_bucket{le=\"5.0\"} 1\nx_took_seconds_bucket{le=\"10.0\"} 1\n\
             x_took_seconds_bucket{le=\"30.0\"} 1\nx_took_seconds_bucket{le=\"+Inf\"} 1\nx_took_seconds_sum 2.600\n\
             x_took_seconds_count 1\n"
        );
    }

    #[test]
    fn open_metrics_names_families_without_suffix_gives_units_and_ends() {
        let page = page(Format::OpenMetrics);
        for lines in [
            "# TYPE x_build info\n# HELP x_build Build.\nx_build_info{",
            "# TYPE x_writes counter\n# HELP x_writes Writes.\nx_writes_total{code=\"200\"} 0\n",
            "# TYPE x_age_seconds gauge\n# UNIT x_age_seconds seconds\n# HELP x_age_seconds Age.\nx_age_seconds 61.005\n",
            "# TYPE x_took_seconds histogram\n# UNIT x_took_seconds seconds\n",
        ] {
            assert!(page.contains(lines), "{lines} in {page}");
        }
        assert!(page.ends_with("x_took_seconds_count 1\n# EOF\n"));
    }

    #[test]
    fn a_page_that_does_not_fit_is_an_error() {
        let mut text = heapless::String::<40>::new();
        let mut page = Exposition::new(Format::Text, &mut text);
        page.values(&AGE, &mut [Value::Whole(1)].into_iter());
        assert_eq!(page.finish(), Err(fmt::Error));
    }
}

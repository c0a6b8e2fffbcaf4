//! A registry as Prometheus reads it: text exposition format 0.0.4.

use crate::counter::{Family, Histogram, Kind, Registry, Series, Unit};
use std::fmt::{self, Write};

/// The `Content-Type` of what [`render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Everything a registry counts, families by name and series by label values.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    for (name, family) in registry.families().iter() {
        // Writing to a string cannot fail.
        let _ = write_family(&mut text, name, family);
    }
    text
}

fn write_family(text: &mut String, name: &str, family: &Family) -> fmt::Result {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    writeln!(
        text,
        "# HELP {name} {}",
        Escaped {
            text: family.help,
            quote: false
        }
    )?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for (values, series) in &family.series {
        let labels = Labels {
            names: &family.labels,
            values,
            bound: None,
        };
        match series {
            Series::Counter(counter) => writeln!(text, "{name}{labels} {}", counter.get())?,
            Series::Gauge(gauge) => writeln!(text, "{name}{labels} {}", gauge.get())?,
            Series::Histogram(histogram) => write_histogram(text, name, &labels, histogram)?,
        }
    }
    Ok(())
}

fn write_histogram(
    text: &mut String,
    name: &str,
    labels: &Labels<'_>,
    histogram: &Histogram,
) -> fmt::Result {
    let unit = histogram.buckets().unit;
    // Buckets first: observations that come meanwhile then only make the total larger, and a
    // cumulative count never falls.
    for (bound, count) in histogram.cumulative() {
        let bound = Amount { value: bound, unit }.to_string();
        let labels = Labels {
            bound: Some(&bound),
            ..*labels
        };
        writeln!(text, "{name}_bucket{labels} {count}")?;
    }
    let count = histogram.count();
    writeln!(
        text,
        "{name}_bucket{} {count}",
        Labels {
            bound: Some("+Inf"),
            ..*labels
        }
    )?;
    writeln!(
        text,
        "{name}_sum{labels} {}",
        Amount {
            value: histogram.sum(),
            unit
        }
    )?;
    writeln!(text, "{name}_count{labels} {count}")
}

/// `{name="value",...}`, or nothing where there are no labels.
#[derive(Clone, Copy)]
struct Labels<'a> {
    names: &'a [&'static str],
    values: &'a [String],
    bound: Option<&'a str>,
}

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self
            .names
            .iter()
            .copied()
            .zip(self.values.iter().map(String::as_str));
        let mut before = '{';
        for (name, value) in own.chain(self.bound.map(|bound| ("le", bound))) {
            write!(
                f,
                "{before}{name}=\"{}\"",
                Escaped {
                    text: value,
                    quote: true
                }
            )?;
            before = ',';
        }
        if before == ',' {
            f.write_char('}')
        } else {
            Ok(())
        }
    }
}

/// Text with backslash and newline escaped, and the quote within quotes.
struct Escaped<'a> {
    text: &'a str,
    quote: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.text.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quote => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A histogram's number as Prometheus wants it, exactly: seconds for nanoseconds.
struct Amount {
    value: u64,
    unit: Unit,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit == Unit::Plain {
            return write!(f, "{}", self.value);
        }
        let (seconds, nanos) = (self.value / NANOS_PER_SECOND, self.value % NANOS_PER_SECOND);
        if nanos == 0 {
            return write!(f, "{seconds}");
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{seconds}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Buckets;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_small_registry_reads_as_the_format_says() {
        let registry = Registry::new();
        registry
            .counter(
                "requests_total",
                "Requests.",
                &[("op", "Put"), ("code", "200")],
            )
            .add(3);
        registry
            .counter(
                "requests_total",
                "Requests.",
                &[("op", "Get"), ("code", "404")],
            )
            .add(1);
        registry.gauge("open", "Open \\ now,\nall.", &[]).set(-2);
        let buckets = Buckets {
            unit: Unit::Nanoseconds,
            bounds: &[2_500_000, 1_000_000_000],
        };
        let latency = registry.histogram("took_seconds", "Took.", buckets, &[("op", "Get")]);
        latency.observe_duration(Duration::from_millis(1));
        latency.observe_duration(Duration::from_millis(20));
        latency.observe_duration(Duration::from_secs(2));
        let expected = r#"# HELP open Open \\ now,\nall.
# TYPE open gauge
open -2
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{op="Get",code="404"} 1
requests_total{op="Put",code="200"} 3
# HELP took_seconds Took.
# TYPE took_seconds histogram
took_seconds_bucket{op="Get",le="0.0025"} 1
took_seconds_bucket{op="Get",le="1"} 2
took_seconds_bucket{op="Get",le="+Inf"} 3
took_seconds_sum{op="Get"} 2.021
took_seconds_count{op="Get"} 3
"#;
        assert_eq!(render(&registry), expected);
        assert_eq!(render(&Registry::new()), "");
    }

    #[test]
    fn plain_bounds_are_shown_as_they_are() {
        let registry = Registry::new();
        registry
            .histogram("size_bytes", "Size.", Buckets::BYTES, &[])
            .observe(1_025);
        let text = render(&registry);
        assert!(
            text.contains("size_bytes_bucket{le=\"1024\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("size_bytes_bucket{le=\"4096\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("size_bytes_sum 1025\n"), "{text}");
    }

    /// Reads one label value back, by the format's own rules.
    fn unescape(text: &str) -> Option<String> {
        let mut letters = text.chars();
        let mut value = String::new();
        while let Some(letter) = letters.next() {
            value.push(match letter {
                '\\' => match letters.next()? {
                    'n' => '\n',
                    other @ ('\\' | '"') => other,
                    _ => return None,
                },
                '"' | '\n' => return None,
                other => other,
            });
        }
        Some(value)
    }

    proptest! {
        #[test]
        fn any_label_value_comes_back_from_one_line(value in "(?s).{0,40}|[\\\\\"\n]{0,10}") {
            let registry = Registry::new();
            registry.counter("c", "C.", &[("l", &value)]).increment();
            let text = render(&registry);
            let lines: Vec<_> = text.split('\n').collect();
            prop_assert_eq!(lines.len(), 4, "help, type, series, end");
            let shown = lines[2].strip_prefix("c{l=\"").and_then(|rest| rest.strip_suffix("\"} 1"));
            prop_assert_eq!(shown.and_then(unescape), Some(value));
        }

        #[test]
        fn seconds_are_exact(value in any::<u64>()) {
            let shown = Amount { value, unit: Unit::Nanoseconds }.to_string();
            let (seconds, fraction) = shown.split_once('.').unwrap_or((&shown, "0"));
            prop_assert!(!fraction.ends_with('0') || fraction == "0");
            let nanos: u64 = format!("{fraction:0<9}").parse().unwrap();
            prop_assert_eq!(seconds.parse::<u64>().unwrap() * NANOS_PER_SECOND + nanos, value);
        }
    }
}

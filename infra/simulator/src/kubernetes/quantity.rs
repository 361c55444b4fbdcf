//! Kubernetes' quantities: `0.25`, `250m`, `256M`, `70Mi`.

/// Suffixes and what they stand for (Kubernetes, resource management for pods and containers). Those of
/// two letters come first.
const SUFFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("m", 0.001),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

/// The number that a quantity stands for; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<f64> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (text.strip_suffix(suffix)?, *factor),
        None => (text, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_numbers_with_suffixes() {
        for (text, expected) in [
            ("0.25", Some(0.25)),
            ("250m", Some(0.25)),
            ("1k", Some(1e3)),
            ("70Mi", Some(73_400_320.0)),
            ("256M", Some(256e6)),
            ("much", None),
            ("-1", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}

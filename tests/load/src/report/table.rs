//! The report for people, in aligned columns.

use std::fmt::Write as _;

use super::{Group, Report, Row, Target};

impl Report {
    /// All groups, one under the other.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        for line in &self.machine {
            let _ = writeln!(out, "{line}");
        }
        for group in &self.groups {
            out.push_str(&self.group_table(group));
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    fn group_table(&self, group: &Group) -> String {
        let bases: Vec<&String> =
            self.bases.iter().filter(|base| group.row(base).is_some()).collect();
        let mut head = vec![String::new(), "median".into(), "min..max".into()];
        head.extend(bases.iter().map(|base| format!("x {base}")));
        head.push("target".into());
        let mut lines = vec![head];
        for row in &group.rows {
            let mut line = vec![row.name.clone(), number(group, row.median()), spread(group, row)];
            line.extend(bases.iter().map(|base| match group.ratio(row, base) {
                Some(ratio) if row.name != **base && ratio < 0.1 => format!("{ratio:.4}"),
                Some(ratio) if row.name != **base => format!("{ratio:.2}"),
                _ => "-".into(),
            }));
            line.push(verdict(group, row));
            lines.push(line);
        }
        let unit = match group.quantity.unit.as_str() {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        format!("\n{}{unit}\n{}", group.quantity.title, aligned(&lines))
    }
}

fn number(group: &Group, value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.*}", group.quantity.digits))
}

fn spread(group: &Group, row: &Row) -> String {
    row.spread().map_or_else(
        || "-".into(),
        |(least, most)| format!("{}..{}", number(group, Some(least)), number(group, Some(most))),
    )
}

/// The target, and whether it is met.
fn verdict(group: &Group, row: &Row) -> String {
    let Some(met) = group.met(row) else { return String::new() };
    let met = if met { "met" } else { "MISSED" };
    let digits = group.quantity.digits;
    match &row.target {
        Some(Target::AtMost(bound)) => format!("<= {bound:.digits$} {met}"),
        Some(Target::AtLeast(bound)) => format!(">= {bound:.digits$} {met}"),
        Some(Target::AtMostOf(times, base)) => format!("<= {times:.2} x {base} {met}"),
        Some(Target::AtLeastOf(times, base)) => format!(">= {times:.2} x {base} {met}"),
        None => String::new(),
    }
}

/// The first column to the left, the last as it is, those between to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let cell =
        |line: &Vec<String>, column: usize| line.get(column).map_or(0, |c| c.chars().count());
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|line| cell(line, column)).max().unwrap_or_default())
        .collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::from("  ");
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ if column + 1 == columns => write!(text, "   {cell}"),
                _ => write!(text, "   {cell:>width$}"),
            };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;

    #[test]
    fn the_table_is_aligned_and_says_what_is_met() {
        let expected = "\
2 cores of Imagination

pairs QoS 0: CPU per delivered message (us)
              median       min..max   x relay   x mosquitto   target
  wasmqtt      0.420   0.400..0.500      4.20        0.1000   <= 0.450 met
  relay        0.100   0.100..0.300         -        0.0238
  mosquitto    4.200   4.000..4.400     42.00             -

unbatched: rate (1/s)
            median         min..max   x relay   target
  wasmqtt    70000     70000..70000      0.70   >= 0.80 x relay MISSED
  relay     100000   100000..100000         -
note: rumqttd <lost> 1 %
";
        assert_eq!(made_up().table(), expected);
    }
}

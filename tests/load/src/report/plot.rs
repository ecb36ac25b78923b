//! The report as a picture: a panel for each quantity, a bar for each server with its spread, and the target as a line.

use std::fmt::Write as _;

use super::{Group, Report, Row, Target};

const WIDTH: f64 = 620.0;
const COLUMNS: usize = 2;
const BAR: f64 = 20.0;
const HEAD: f64 = 34.0;
const FOOT: f64 = 18.0;
/// Where bars begin: to the left are names.
const LEFT: f64 = 190.0;
/// What is left for figures behind the longest bar.
const RIGHT: f64 = 110.0;
const OURS: &str = "#c2410c";
const OTHERS: &str = "#94a3b8";

impl Report {
    /// An SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut panels = String::new();
        let mut bottoms = [0.0f64; COLUMNS];
        for group in self.groups.iter().filter(|group| !group.rows.is_empty()) {
            // Each goes where there is most room, so that panels of different heights leave no holes.
            let column = if bottoms[1] < bottoms[0] { 1 } else { 0 };
            let (x, y) = (column as f64 * WIDTH, bottoms[column]);
            panels.push_str(&panel(group, x, y));
            bottoms[column] = y + height(group);
        }
        let height = bottoms.iter().copied().fold(0.0, f64::max) + 24.0;
        let width = WIDTH * COLUMNS as f64;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
             {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" \
             fill=\"#ffffff\"/>\n{panels}"
        );
        let machine = escape(&self.machine.join(", "));
        let below = height - 8.0;
        let _ = writeln!(
            out,
            "<text x=\"12\" y=\"{below}\" fill=\"#64748b\" font-size=\"10\">{machine}; median, line from min to \
             max, green: target</text>\n</svg>"
        );
        out
    }
}

fn height(group: &Group) -> f64 {
    HEAD + BAR * group.rows.len() as f64 + FOOT
}

fn panel(group: &Group, x: f64, y: f64) -> String {
    let bounds = group.rows.iter().filter_map(|row| bound(group, row));
    let largest = group.rows.iter().filter_map(Row::spread).map(|(_, most)| most);
    let largest = largest.chain(bounds).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / largest;
    let unit = match group.quantity.unit.as_str() {
        "" => String::new(),
        unit => format!(" ({unit})"),
    };
    let title = escape(&format!("{}{unit}", group.quantity.title));
    let mut out = format!("<g transform=\"translate({x} {y})\">\n");
    let _ = writeln!(out, "<text x=\"12\" y=\"22\" font-weight=\"bold\">{title}</text>");
    let rows =
        || group.rows.iter().enumerate().map(|(index, row)| (HEAD + BAR * index as f64, row));
    for (y, row) in rows() {
        out.push_str(&bar(row, y, scale));
    }
    for (y, row) in rows() {
        let Some(bound) = bound(group, row) else { continue };
        let at = LEFT + bound * scale;
        let end = y + BAR;
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{y}\" x2=\"{at:.1}\" y2=\"{end}\" stroke=\"#15803d\" stroke-width=\"2.5\"/>"
        );
    }
    // Above the line, so that it strikes no figure through.
    for (y, row) in rows() {
        out.push_str(&label(group, row, y, scale));
    }
    out.push_str("</g>\n");
    out
}

/// Below nothing there is no room: a difference that is negative is as long as none.
fn bar(row: &Row, y: f64, scale: f64) -> String {
    let (Some(median), Some((least, most))) = (row.median(), row.spread()) else {
        return String::new();
    };
    let colour = if row.ours { OURS } else { OTHERS };
    let middle = y + BAR / 2.0;
    let (width, from, to) =
        ((median * scale).max(1.0), LEFT + least.max(0.0) * scale, LEFT + most.max(0.0) * scale);
    format!(
        "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
         <line x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\" stroke=\"#0f172a\"/>\n",
        y + 3.0,
        BAR - 6.0,
    )
}

/// Its name to the left, its figure to the right.
fn label(group: &Group, row: &Row, y: f64, scale: f64) -> String {
    let (Some(median), Some((_, most))) = (row.median(), row.spread()) else {
        return String::new();
    };
    let y = y + BAR - 6.0;
    format!(
        "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>\n<text x=\"{:.1}\" y=\"{y:.1}\" \
         stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{median:.*}</text>\n",
        LEFT - 6.0,
        escape(&row.name),
        LEFT + most.max(median).max(0.0) * scale + 6.0,
        group.quantity.digits,
    )
}

/// Where the line of the target is.
fn bound(group: &Group, row: &Row) -> Option<f64> {
    match row.target.as_ref()? {
        Target::AtMost(bound) | Target::AtLeast(bound) => Some(*bound),
        Target::AtMostOf(times, base) | Target::AtLeastOf(times, base) => {
            Some(times * group.row(base)?.median()?)
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::super::{Quantity, Report};

    #[test]
    fn every_row_has_a_bar_as_long_as_its_median() {
        let svg = made_up().svg();
        assert_eq!(svg.matches("<rect").count(), 1 + 5);
        // 620 - 190 - 110 is the longest; 4.4 has it, so that 4.2 has 305.5 of it, and the target of 0.45 is at 222.7.
        assert!(svg.contains("width=\"305.5\""), "{svg}");
        assert!(svg.contains("x1=\"222.7\""), "{svg}");
        assert_eq!(svg.matches("#15803d").count(), 2);
    }

    #[test]
    fn names_cannot_break_the_document() {
        let mut report = Report::default();
        report.add(&Quantity::new("a < b & c", "", 1), "<x>", true, 1.0);
        let svg = report.svg();
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("&lt;x&gt;"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        assert!(Report::default().svg().ends_with("</svg>\n"));
    }
}

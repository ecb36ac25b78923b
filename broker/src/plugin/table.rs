//! Aligned columns for a terminal. Must not know what is in them.

use anstyle::Style;

const HEADING: Style = Style::new().bold();
/// Longer cells are cut: a table that wraps cannot be read.
const CELL_MAX: usize = 48;

/// A table with a heading and columns as wide as what they hold.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    right: Vec<usize>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned)], right: Vec::new() }
    }

    /// Columns that are aligned to the right.
    pub(super) fn right(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.right.extend(columns);
        self
    }

    pub(super) fn row(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| cut(&cell)));
    }

    /// Lines without trailing blanks.
    fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match self.right.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    pub(super) fn print(&self) {
        for (number, line) in self.lines().into_iter().enumerate() {
            match number {
                0 => anstream::println!("{HEADING}{line}{HEADING:#}"),
                _ => println!("{line}"),
            }
        }
    }
}

fn cut(cell: &str) -> String {
    if cell.chars().count() <= CELL_MAX {
        return cell.to_owned();
    }
    cell.chars().take(CELL_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_wider_than_the_bound() {
        let mut table = Table::new(["NAME", "N"]).right([1]);
        table.row(["a".into(), "10".into()]);
        table.row(["x".repeat(60), "7".into()]);
        let lines = table.lines();
        assert_eq!(lines[0].len(), CELL_MAX + 4);
        assert_eq!(lines[1], format!("a{}10", " ".repeat(CELL_MAX + 1)));
        assert!(lines[2].contains('…') && lines[2].ends_with("   7"), "{lines:?}");
    }
}

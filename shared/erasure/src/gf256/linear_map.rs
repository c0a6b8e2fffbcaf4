//! A matrix prepared for the kernels.

use super::{Kernel, Kind, portable, tables};

/// Outputs computed at once: their sums stay in registers while the inputs pass by.
pub(super) const GROUP_MAX: usize = 4;

/// Columns done for every group before the next ones: inputs read again come from the L1 cache.
const COLUMNS_AT_ONCE: usize = 2 << 10;

/// A matrix over GF(2^8), rows = outputs, columns = inputs.
#[derive(Debug)]
pub(crate) struct LinearMap {
    inputs: usize,
    groups: Vec<Group>,
}

/// Up to [`GROUP_MAX`] rows of the matrix, in the forms the kernels want.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rows: usize,
    /// Row by row, one per input.
    pub(super) factors: Vec<u8>,
    /// Input by input, one [`tables::bit_matrix`] per row.
    pub(super) bit_matrices: Vec<u64>,
    /// Input by input, one [`tables::nibble_products`] per row.
    pub(super) nibbles: Vec<[u8; 32]>,
}

impl LinearMap {
    /// Prepares rows of `inputs` factors each.
    pub(crate) fn new(inputs: usize, rows: &[Vec<u8>]) -> Self {
        let groups = rows
            .chunks(GROUP_MAX)
            .map(|rows| Group::new(inputs, rows))
            .collect();
        Self { inputs, groups }
    }

    /// Overwrites every output with its row's combination of the inputs. All slices must have one
    /// length and their numbers must be the matrix's.
    pub(crate) fn apply(&self, kernel: Kernel, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) {
        let len = inputs.first().map_or(0, |input| input.len());
        debug_assert_eq!(inputs.len(), self.inputs);
        debug_assert!(inputs.iter().all(|input| input.len() == len));
        debug_assert!(outputs.iter().all(|output| output.len() == len));
        for start in (0..len).step_by(COLUMNS_AT_ONCE) {
            let columns = start..len.min(start + COLUMNS_AT_ONCE);
            for (group, outputs) in self.groups.iter().zip(outputs.chunks_mut(GROUP_MAX)) {
                let done = match kernel.0 {
                    Kind::Portable => start,
                    #[cfg(target_arch = "x86_64")]
                    Kind::Simd(simd) => simd.apply(group, inputs, outputs, columns.clone()),
                };
                if done < columns.end {
                    portable::apply(&group.factors, inputs, outputs, done..columns.end);
                }
            }
        }
    }
}

impl Group {
    fn new(inputs: usize, rows: &[Vec<u8>]) -> Self {
        let by_input = || {
            (0..inputs).flat_map(move |input| {
                rows.iter()
                    .map(move |row| row.get(input).copied().unwrap_or_default())
            })
        };
        Self {
            rows: rows.len(),
            factors: rows.concat(),
            bit_matrices: by_input().map(tables::bit_matrix).collect(),
            nibbles: by_input().map(tables::nibble_products).collect(),
        }
    }
}

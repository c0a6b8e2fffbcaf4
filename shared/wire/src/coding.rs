//! A coding as a message, and back.

use cairn_model as model;

use crate::metadata::Coding;

impl From<model::Coding> for Coding {
    fn from(coding: model::Coding) -> Self {
        let (data, parity, cell, layout) = coding.parts();
        Self {
            data: data.into(),
            parity: parity.into(),
            cell,
            layout: layout.into(),
        }
    }
}

impl Coding {
    /// The coding this says; `None` where this version cannot read it.
    #[must_use]
    pub fn read(&self) -> Option<model::Coding> {
        let narrow = |number: u32| u8::try_from(number).ok();
        let (data, parity) = (narrow(self.data)?, narrow(self.parity)?);
        model::Coding::from_parts(data, parity, self.cell, narrow(self.layout)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(data in 1_u8..=16, parity in 0_u8..=8) {
            let coding = model::Coding::new(data, parity).unwrap();
            prop_assert_eq!(Coding::from(coding).read(), Some(coding));
        }

        #[test]
        fn only_what_the_model_takes_is_read(data: u32, parity: u32, cell: u32, layout: u32) {
            if let Some(read) = (Coding { data, parity, cell, layout }).read() {
                prop_assert_eq!(Coding::from(read), Coding { data, parity, cell, layout });
            }
        }
    }
}

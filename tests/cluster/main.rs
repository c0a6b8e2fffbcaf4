//! Faults on a cluster of real processes; one scenario per file.

mod debt_is_paid;
mod gateway_dies;
mod kill_nine_cluster;
mod load;
mod memory;
mod network_cut;
mod one_winner_two_gateways;
mod pairs_lost;
mod restored;
mod rolling_restart;
mod slow_down;
mod space_comes_back;
mod stops;
mod voters;

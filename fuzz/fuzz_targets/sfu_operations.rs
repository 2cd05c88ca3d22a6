//! A shard under commands and datagrams in any order: it keeps its books, and nothing outlives what it belonged to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_fuzz::heap::CountingAllocator;
use ringsoup_fuzz::operation::Scenario;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fuzz_target!(|scenario: Scenario| {
    ringsoup_fuzz::world::run(&scenario);
});

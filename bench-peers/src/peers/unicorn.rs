//! The crate `unicorn-engine`: QEMU's walk, through `vmem_translate`.

use unicorn_engine::{Arch, Mode, Prot, RegisterX86, TlbType, Unicorn};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

pub(crate) fn vmem_translate(tables: Tables) -> Box<dyn Subject> {
    let mut engine = Unicorn::new(Arch::X86, Mode::MODE_64).expect("an x86 engine");
    let bytes = tables.frames.to_vec().leak();
    let len = std::mem::size_of_val(bytes) as u64;
    // SAFETY: the copy is alive for good, and only the engine uses it.
    unsafe { engine.mem_map_ptr(0, len, Prot::ALL, bytes.as_mut_ptr().cast()) }
        .expect("memory at address 0");
    engine.ctl_set_tlb_type(TlbType::CPU).expect("translation by the tables");
    let cr4 = engine.reg_read(RegisterX86::CR4).expect("a register") | 1 << 5;
    engine.reg_write(RegisterX86::CR4, cr4).expect("a register");
    engine.reg_write(RegisterX86::CR3, Tables::ROOT).expect("a register");
    let cr0 = engine.reg_read(RegisterX86::CR0).expect("a register") | 1 << 31 | 1;
    engine.reg_write(RegisterX86::CR0, cr0).expect("a register");
    single("unicorn vmem_translate", Engine(engine))
}

struct Engine(Unicorn<'static, ()>);

impl Translate for Engine {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        self.0.vmem_translate(virt, Prot::READ).unwrap_or(NOWHERE)
    }
}

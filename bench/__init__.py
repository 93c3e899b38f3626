"""Measurements against the goals: `python -m bench [--only NAME] [--quick]`.

Each benchmark is a module with `measure(quick) -> Iterator[Line]`. All traffic stays
on loopback; the stores are embedded ones in temporary folders. Whatever is compared is
measured in alternating rounds of one run, while a nice-19 process keeps one core awake:
on shared machines the wake-up of an idle core takes longer than the work it is woken for.
"""

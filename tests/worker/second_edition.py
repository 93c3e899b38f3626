"""The next version of a task of program_tasks, which stands beside the first."""

from __future__ import annotations

from bide import Context, Retry, task


@task(name="editions", retry=Retry(max_attempts=1), version=2)
async def second_edition(ctx: Context) -> str:
    await ctx.event("go")
    return "second"

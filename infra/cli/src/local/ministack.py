"""ministack, which runs `Assign` in a Catch of JSONPath as AWS does.

ministack 1.5.33 knows variables in JSONata only, and passes over the others (ADR 0011). Takes no
arguments; the settings are in the environment.
"""

import sys

from ministack.app import main
from ministack.services import stepfunctions

apply_catcher = stepfunctions._apply_catcher
run_sub_machine = stepfunctions._run_sub_machine
eval_intrinsic_arg = stepfunctions._eval_intrinsic_arg


def assigning(catcher, raw_input, ctx, query_language, error_output):
    """What a Catch assigns are texts that are written out: no paths."""
    if query_language == "JSONPath":
        ctx["variables"].update(catcher.get("Assign", {}))
    return apply_catcher(catcher, raw_input, ctx, query_language, error_output)


def in_scope_of_its_own(states, start_at, input_data, execution, ctx):
    """A branch, or an iteration, keeps its variables to itself."""
    ctx = {**ctx, "variables": dict(ctx["variables"])}
    return run_sub_machine(states, start_at, input_data, execution, ctx)


def with_variables(arg, data, ctx):
    """An argument of an intrinsic function: `$name` is a variable, `$.name` is not."""
    variables = (ctx or {}).get("variables", {})
    if arg[0] == "path" and arg[1][1:] in variables:
        return variables[arg[1][1:]]
    return eval_intrinsic_arg(arg, data, ctx)


stepfunctions._apply_catcher = assigning
stepfunctions._run_sub_machine = in_scope_of_its_own
stepfunctions._eval_intrinsic_arg = with_variables
sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What AWS does not document about instance refreshes, each as a switch with the default taken here.

docs/local-region.md lists them; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choices:
    """How refreshes behave where the documentation says nothing.

    Attributes:
        refills_slot_by_slot: Begin a replacement as soon as another is done, instead of batch by batch.
        rounds_max_healthy_up: Round the maximum healthy capacity up, instead of down.
        surge_may_exceed_max_size: Let launches before terminations take a group above its maximum size.
        launches_first_without_room: Where rounding leaves room for no replacement and the maximum healthy
            percentage is above 100, launch one first, instead of terminating one first.
        surges_where_room_is_made: Launch what is to take the place of machines that serve still in the zones
            that those will leave, instead of where the fewest are with them.
        orders_anew_each_time: Ask the termination policies again before each batch, instead of once.
        ends_unready_at_rollback: Begin a rollback by ending all new instances that are not healthy at once.
        may_roll_back_while_baking: Take RollbackInstanceRefresh during the bake time.
        refuses_impossible_auto_rollback: Refuse to start with AutoRollback what could not be rolled back.
        keeps_hour_while_paused: Let the hour in which something must get healthy run on while the processes
            are suspended or alarms have no data.
        delays_after_last_checkpoint: Wait the checkpoint delay also after a last checkpoint below 100.
        refuses_unknown_alarms: Refuse to start with an alarm that does not exist.
        kept_days: For how many days a refresh that has ended is shown.
    """

    refills_slot_by_slot: bool = False
    rounds_max_healthy_up: bool = False
    surge_may_exceed_max_size: bool = True
    launches_first_without_room: bool = True
    surges_where_room_is_made: bool = True
    orders_anew_each_time: bool = False
    ends_unready_at_rollback: bool = True
    may_roll_back_while_baking: bool = True
    refuses_impossible_auto_rollback: bool = True
    keeps_hour_while_paused: bool = False
    delays_after_last_checkpoint: bool = False
    refuses_unknown_alarms: bool = True
    kept_days: int = 42


DEFAULT = Choices()

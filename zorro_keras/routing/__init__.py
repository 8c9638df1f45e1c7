"""Who may read whom: routings, token layouts and the pictures they make."""

from zorro_keras.routing.group_layout import GroupLayout
from zorro_keras.routing.read_plan import ReadPlan
from zorro_keras.routing.routing import Routing
from zorro_keras.routing.token_layout import TokenLayout

__all__ = ["GroupLayout", "ReadPlan", "Routing", "TokenLayout"]

"""The claims of the Zorro paper, reproduced in small: `zorro-keras reproduce`."""

"""Moving caches: what must hold first, the steps with their journal, and living with disks that come and go."""

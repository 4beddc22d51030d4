"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB for each try: Django's usual 100 MiB on eight lanes would let a few sign-ins at once fill a
    small web container."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

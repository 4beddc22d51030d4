import os
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config import demo, serving
from config.paths import VAR


class Command(BaseCommand):
    help = "Run Touchstone with a small shop's replies to judge and a real small model. Ctrl-C ends it; data stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")), help="where it answers")
        parser.add_argument("--only-set-up", action="store_true", help="make the project and stop")
        parser.add_argument("--without-model", action="store_true", help="only the project, its people and its texts")
        parser.add_argument("--without-samples", action="store_true", help="ask the model for no answers yet")

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        if not options["only_set_up"] and not serving.is_free(port):
            raise CommandError(f"Port {port} is taken. Choose another one: PORT={port + 1} make demo")
        call_command("migrate", verbosity=0)
        asked = {"model": not options["without_model"], "samples": not options["without_samples"]}
        sign_ins = demo.set_up(self.stdout.write, **asked)
        if options["only_set_up"]:
            return
        self.stdout.write("Starting the web server, the queue and the model worker …")

        def announce() -> None:
            lines = [f"Touchstone is ready:  http://127.0.0.1:{port}/", ""]
            lines += [f"  {one.role:<10} {one.name:<10} password {one.password}" for one in sign_ins]
            lines += ["", "The model is answering prompts in the background; comparisons appear as it goes."]
            lines += [f"What the processes say: {VAR / 'log' / 'touchstone.log'}", "Ctrl-C ends it; your data stays."]
            self.stdout.write("\n" + "\n".join(lines) + "\n")

        code = serving.serve(port, announce)
        if code not in (0, 130):
            raise CommandError(f"A process ended by itself; see {VAR / 'log' / 'touchstone.log'}.")

<?php
# readonly, at the login already
$wgReadOnly = "maintenance now";
